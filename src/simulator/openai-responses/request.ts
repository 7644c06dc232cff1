import { z } from 'zod';
import type { ApiError, Parsed } from '../errors.ts';
import { isGiven, parseRequest } from '../openai/validation.ts';
import { invalidRequest } from '../openai/wording.ts';
import type { ToolChoice } from '../task.ts';

/** Every argument that OpenAI documents for responses. */
const knownArguments = new Set([
  'access_programs',
  'background',
  'context_management',
  'conversation',
  'image',
  'include',
  'input',
  'instructions',
  'max_output_tokens',
  'max_tool_calls',
  'metadata',
  'model',
  'moderation',
  'parallel_tool_calls',
  'previous_response_id',
  'prompt',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'reasoning',
  'safety_identifier',
  'service_tier',
  'store',
  'stream',
  'stream_options',
  'temperature',
  'text',
  'tool_choice',
  'tools',
  'top_logprobs',
  'top_p',
  'truncation',
  'user',
]);

const partSchema = z.looseObject({ type: z.string(), text: z.string().optional() });

/** Items have some thirty types: what all need is checked, and the text of the common ones is understood. */
const itemSchema = z.looseObject({
  type: z.string().nullish(),
  id: z.string().nullish(),
  role: z.enum(['user', 'assistant', 'system', 'developer']).optional(),
  content: z.union([z.string(), z.array(partSchema)]).nullish(),
  name: z.string().optional(),
  arguments: z.unknown().optional(),
  output: z.unknown().optional(),
  summary: z.array(partSchema).nullish(),
});

const schemaObject = z.record(z.string(), z.unknown());

const toolSchema = z.looseObject({
  type: z.string(),
  name: z.string().min(1).optional(),
  parameters: schemaObject.nullish(),
});

const bodySchema = z.looseObject({
  model: z.string(),
  input: z.union([z.string(), z.array(itemSchema).min(1)]).nullish(),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  store: z.boolean().nullish(),
  // OpenAI takes no less.
  max_output_tokens: z.int().min(16).nullish(),
  previous_response_id: z.string().nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  metadata: schemaObject.nullish(),
  reasoning: z.looseObject({ effort: z.string().nullish(), summary: z.string().nullish() }).nullish(),
  text: z
    .looseObject({
      format: z
        .looseObject({
          type: z.enum(['text', 'json_object', 'json_schema']),
          schema: schemaObject.optional(),
        })
        .nullish(),
    })
    .nullish(),
  tools: z.array(toolSchema).nullish(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.looseObject({ type: z.string(), name: z.string().optional() }),
    ])
    .nullish(),
});

export type ResponsesRequest = z.output<typeof bodySchema>;
export type InputItem = z.output<typeof itemSchema>;

export function parseResponsesRequest(body: Buffer): Parsed<ResponsesRequest> {
  return parseRequest(body, { knownArguments, schema: bodySchema, findContradiction });
}

function findContradiction(request: ResponsesRequest): ApiError | null {
  if (!isGiven(request.input) && !isGiven(request.prompt) && !isGiven(request.previous_response_id)) {
    return invalidRequest(
      "Missing required parameter: one of 'input' or 'previous_response_id' or 'prompt' must be provided.",
      null,
      'missing_required_parameter',
    );
  }
  for (const [index, { type, role }] of itemsOf(request).entries()) {
    if (isGiven(type) || role !== undefined) continue;
    const param = `input[${index}].role`;
    return invalidRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
  }
  const unnamed = request.tools?.findIndex(({ type, name }) => type === 'function' && name === undefined);
  if (unnamed !== undefined && unnamed >= 0) {
    const param = `tools[${unnamed}].name`;
    return invalidRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
  }
  const choice = toolChoiceOf(request);
  if (typeof choice !== 'object') return null;
  const [name] = choice.names;
  if (request.tools?.some((tool) => tool.name === name)) return null;
  return invalidRequest(`Tool choice 'function' not found in 'tools' parameter.`, 'tool_choice');
}

export function itemsOf({ input }: ResponsesRequest): readonly InputItem[] {
  return typeof input === 'object' && input !== null ? input : [];
}

/** Of tools that OpenAI runs itself nothing is known here, so a choice of one is left to the model. */
export function toolChoiceOf({ tool_choice: choice }: ResponsesRequest): ToolChoice {
  if (typeof choice !== 'object' || choice === null) return choice ?? 'auto';
  return choice.type === 'function' && choice.name !== undefined ? { names: [choice.name] } : 'auto';
}
