import { z } from 'zod';
import type { ApiError, Parsed } from '../errors.ts';
import { isGiven, parseRequest, strayStreamOptions } from '../openai/validation.ts';
import { invalidRequest } from '../openai/wording.ts';

/** Every argument that OpenAI documents for chat completions; any other is refused by its name. */
const knownArguments = new Set([
  'audio',
  'frequency_penalty',
  'function_call',
  'functions',
  'logit_bias',
  'logprobs',
  'max_completion_tokens',
  'max_tokens',
  'messages',
  'metadata',
  'modalities',
  'model',
  'moderation',
  'n',
  'parallel_tool_calls',
  'prediction',
  'presence_penalty',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'reasoning_effort',
  'response_format',
  'safety_identifier',
  'seed',
  'service_tier',
  'stop',
  'store',
  'stream',
  'stream_options',
  'temperature',
  'tool_choice',
  'tools',
  'top_logprobs',
  'top_p',
  'user',
  'verbosity',
  'web_search_options',
]);

const messageSchema = z.looseObject({
  role: z.enum(['system', 'assistant', 'user', 'function', 'tool', 'developer']),
  content: z
    .union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))])
    .nullish(),
  name: z.string().optional(),
  tool_calls: z
    .array(z.looseObject({ function: z.looseObject({ name: z.string(), arguments: z.string() }).optional() }))
    .nullish(),
});

const schemaObject = z.record(z.string(), z.unknown());

const toolSchema = z.looseObject({
  type: z.string(),
  function: z.looseObject({ name: z.string().min(1), parameters: schemaObject.nullish() }).optional(),
});

const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(messageSchema).min(1),
  stream: z.boolean().nullish(),
  stream_options: z
    .looseObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  n: z.int().min(1).max(128).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  tools: z.array(toolSchema).min(1).nullish(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.looseObject({ type: z.string(), function: z.looseObject({ name: z.string() }).optional() }),
    ])
    .nullish(),
  response_format: z
    .looseObject({
      type: z.enum(['text', 'json_object', 'json_schema']),
      json_schema: z.looseObject({ name: z.string(), schema: schemaObject.optional() }).optional(),
    })
    .nullish(),
});

export type ChatRequest = z.output<typeof bodySchema>;
export type Message = z.output<typeof messageSchema>;

export function parseChatRequest(body: Buffer): Parsed<ChatRequest> {
  return parseRequest(body, { knownArguments, schema: bodySchema, findContradiction });
}

/** What each argument alone permits, but not together. */
function findContradiction(request: ChatRequest): ApiError | null {
  const stray = strayStreamOptions(request);
  if (stray !== null) return stray;
  if (isGiven(request.max_tokens) && isGiven(request.max_completion_tokens)) {
    return invalidRequest(
      "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
      'max_tokens',
      'invalid_parameter_combination',
    );
  }
  if (isGiven(request.tool_choice) && !isGiven(request.tools)) {
    return invalidRequest(
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
      'tool_choice',
    );
  }
  const demanded = demandedTool(request);
  if (demanded !== undefined && !request.tools?.some((tool) => tool.function?.name === demanded)) {
    return invalidRequest(`Tool choice '${demanded}' not found in 'tools' parameter.`, 'tool_choice');
  }
  return null;
}

/** The tool that must be called, when `tool_choice` names one. */
export function demandedTool({ tool_choice: choice }: ChatRequest): string | undefined {
  return typeof choice === 'object' ? choice?.function?.name : undefined;
}
