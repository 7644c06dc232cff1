import { z } from 'zod';
import type { Parsed } from '../errors.ts';
import { parseRequest } from '../openai/validation.ts';

const knownArguments = new Set(['dimensions', 'encoding_format', 'input', 'model', 'user']);

/** OpenAI's own limit. */
const mostInputs = 2048;

const tokenIds = z.array(z.int().min(0)).min(1).max(mostInputs);
const text = z.string().min(1);

const bodySchema = z.looseObject({
  model: z.string(),
  input: z.union([
    text,
    z.array(text).min(1).max(mostInputs),
    tokenIds,
    z.array(tokenIds).min(1).max(mostInputs),
  ]),
  dimensions: z.int().min(1).max(4096).nullish(),
  encoding_format: z.enum(['float', 'base64']).nullish(),
});

export type EmbeddingRequest = z.output<typeof bodySchema>;

export function parseEmbeddingRequest(body: Buffer): Parsed<EmbeddingRequest> {
  return parseRequest(body, { knownArguments, schema: bodySchema });
}
