import { z } from 'zod';
import type { ApiError, Parsed } from '../errors.ts';
import { type Item, itemsOf } from '../openai/items.ts';
import { parseRequest, strayStreamOptions } from '../openai/validation.ts';
import { invalidRequest } from '../openai/wording.ts';

/** Every argument that OpenAI documents for completions. */
const knownArguments = new Set([
  'best_of',
  'echo',
  'frequency_penalty',
  'logit_bias',
  'logprobs',
  'max_tokens',
  'model',
  'n',
  'presence_penalty',
  'prompt',
  'seed',
  'stop',
  'stream',
  'stream_options',
  'suffix',
  'temperature',
  'top_p',
  'user',
]);

const tokenIds = z.array(z.int().min(0)).min(1);

const bodySchema = z.looseObject({
  model: z.string(),
  prompt: z.union([z.string(), z.array(z.string()).min(1), tokenIds, z.array(tokenIds).min(1)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(0).nullish(),
  n: z.int().min(1).max(128).nullish(),
  best_of: z.int().min(1).max(20).nullish(),
  echo: z.boolean().nullish(),
});

export type CompletionRequest = z.output<typeof bodySchema>;

export function parseCompletionRequest(body: Buffer): Parsed<CompletionRequest> {
  return parseRequest(body, { knownArguments, schema: bodySchema, findContradiction });
}

function findContradiction(request: CompletionRequest): ApiError | null {
  const { n, best_of: best, stream } = request;
  if (best !== null && best !== undefined) {
    if (best < (n ?? 1))
      return invalidRequest(
        "You requested that the server return more choices than it will generate (HINT: 'best_of' must be at least 'n').",
        'best_of',
      );
    if (stream === true && best > (n ?? 1))
      return invalidRequest("Cannot stream results with 'best_of' greater than 'n'.", 'best_of');
  }
  return strayStreamOptions(request);
}

/** The prompts of a request: each is answered for itself. */
export function promptsOf({ prompt }: CompletionRequest): readonly Item[] {
  // OpenAI begins a new document where there is none: one token marks that.
  return prompt === null || prompt === undefined ? [[0]] : itemsOf(prompt);
}
