import { z } from 'zod';
import type { Parsed } from '../errors.ts';
import type { Call } from '../format.ts';
import { parseJsonObject } from '../json-body.ts';
import type { ToolChoice } from '../task.ts';
import { describe } from './validation.ts';
import { anthropicWording } from './wording.ts';

/** Every member that Anthropic documents, in beta or not; any other is refused by its name. */
const knownMembers = new Set([
  'cache_control',
  'compaction',
  'container',
  'context_management',
  'diagnostics',
  'fallbacks',
  'inference_geo',
  'max_tokens',
  'mcp_servers',
  'messages',
  'metadata',
  'model',
  'output_config',
  'output_format',
  'service_tier',
  'speed',
  'stop_sequences',
  'stream',
  'system',
  'temperature',
  'thinking',
  'tool_choice',
  'tools',
  'top_k',
  'top_p',
]);

const schemaObject = z.record(z.string(), z.unknown());

const textBlock = z.looseObject({ type: z.string(), text: z.string().optional() });

const contentBlock = textBlock.extend({
  name: z.string().optional(),
  input: z.unknown().optional(),
  content: z.unknown().optional(),
});

const messageSchema = z.looseObject({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(contentBlock)]),
});

const toolSchema = z.looseObject({
  name: z.string().min(1),
  type: z.string().nullish(),
  input_schema: schemaObject.optional(),
});

const jsonFormat = z.looseObject({ type: z.literal('json_schema'), schema: schemaObject });

/** What counting the tokens of a prompt needs of it. */
const promptSchema = z.looseObject({
  model: z.string().min(1),
  messages: z.array(messageSchema).min(1),
  system: z.union([z.string(), z.array(textBlock)]).nullish(),
  tools: z.array(toolSchema).nullish(),
});

const bodySchema = promptSchema.extend({
  max_tokens: z.int().min(1),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  thinking: z.looseObject({ type: z.string(), budget_tokens: z.int().min(1024).optional() }).nullish(),
  tool_choice: z
    .looseObject({
      type: z.enum(['auto', 'any', 'tool', 'none']),
      name: z.string().optional(),
      disable_parallel_tool_use: z.boolean().optional(),
    })
    .nullish(),
  output_config: z.looseObject({ format: jsonFormat.nullish() }).nullish(),
  output_format: jsonFormat.nullish(),
});

export type MessagesPrompt = z.output<typeof promptSchema>;
export type MessagesRequest = z.output<typeof bodySchema>;
export type ContentBlock = z.output<typeof contentBlock>;

export function parseMessagesRequest(call: Call): Parsed<MessagesRequest> {
  const parsed = parse(call, bodySchema);
  if (!parsed.ok) return parsed;
  const { thinking, max_tokens: maxTokens } = parsed.value;
  if (thinking?.budget_tokens !== undefined && thinking.budget_tokens >= maxTokens) {
    return refused('`max_tokens` must be greater than `thinking.budget_tokens`.');
  }
  const choice = toolChoiceOf(parsed.value);
  if (typeof choice === 'object') {
    const [name] = choice.names;
    const isOffered = parsed.value.tools?.some((tool) => tool.name === name) ?? false;
    if (!isOffered) return refused(`Tool '${name}' not found in provided tools`);
  }
  return parsed;
}

export function parseMessagesPrompt(call: Call): Parsed<MessagesPrompt> {
  return parse(call, promptSchema);
}

function parse<Schema extends z.ZodType>({ body, headers }: Call, schema: Schema): Parsed<z.output<Schema>> {
  if (headers['anthropic-version'] === undefined) return refused('anthropic-version: header is required');
  const given = parseJsonObject(body);
  if (given === undefined) return refused('The request body is not valid JSON.');
  const unknown = Object.keys(given).find((name) => !knownMembers.has(name));
  if (unknown !== undefined) return refused(`${unknown}: Extra inputs are not permitted`);
  const parsed = schema.safeParse(given);
  return parsed.success ? { ok: true, value: parsed.data } : refused(describe(parsed.error, given));
}

function refused(message: string): Parsed<never> {
  return { ok: false, error: anthropicWording.invalid(message) };
}

export function toolChoiceOf({ tool_choice: choice }: MessagesRequest): ToolChoice {
  switch (choice?.type) {
    case 'any':
      return 'required';
    case 'none':
      return 'none';
    case 'tool':
      return { names: [choice.name ?? ''] };
    default:
      return 'auto';
  }
}
