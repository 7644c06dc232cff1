import { z } from 'zod';
import { type ApiError, invalidRequest, type Parsed } from './errors.ts';

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
export type JsonSchema = z.output<typeof schemaObject>;

/** Understands a body as OpenAI does, or refuses it in OpenAI's words. */
export function parseChatRequest(body: Buffer): Parsed<ChatRequest> {
  const given = parseJson(body);
  if (given === undefined) {
    return refused(
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your " +
        'HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)',
    );
  }
  if (typeof given.model !== 'string' || given.model === '') {
    return refused('you must provide a model parameter');
  }
  const unknown = Object.keys(given).filter((name) => !knownArguments.has(name));
  if (unknown.length > 0) {
    return refused(
      `Unrecognized request argument${unknown.length > 1 ? 's' : ''} supplied: ${unknown.join(', ')}`,
    );
  }
  const parsed = bodySchema.safeParse(given);
  if (!parsed.success) return { ok: false, error: describe(parsed.error, given) };
  const contradiction = findContradiction(parsed.data);
  return contradiction === null ? { ok: true, value: parsed.data } : { ok: false, error: contradiction };
}

/** The JSON object in a body; undefined when there is none. */
function parseJson(body: Buffer): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? { ...parsed }
      : undefined;
  } catch {
    return undefined;
  }
}

function refused(message: string): Parsed<never> {
  return { ok: false, error: invalidRequest(message) };
}

/** What each argument alone permits, but not together. */
function findContradiction(request: ChatRequest): ApiError | null {
  if (isGiven(request.stream_options) && request.stream !== true) {
    return invalidRequest(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    );
  }
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

function isGiven<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}

/** zod's first finding in OpenAI's words, with the path as OpenAI writes it: `messages[0].role`. */
function describe(error: z.ZodError, body: unknown): ApiError {
  const [issue] = error.issues;
  if (issue === undefined) return invalidRequest('Invalid request.');
  const param = issue.path.reduce<string>(
    (path, step) => (typeof step === 'number' ? `${path}[${step}]` : `${path}${path && '.'}${String(step)}`),
    '',
  );
  const value = valueAt(body, issue.path);
  if (value === undefined) {
    return invalidRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
  }
  switch (issue.code) {
    case 'invalid_value': {
      const supported = issue.values.map((supportedValue) => `'${String(supportedValue)}'`).join(', ');
      return invalidRequest(
        `Invalid value: '${String(value)}'. Supported values are: ${supported}.`,
        param,
        'invalid_value',
      );
    }
    case 'too_small':
    case 'too_big':
      return outOfRange(issue, param, value);
    default: {
      const expected = expectedTypes(issue);
      const phrase = expected === '' ? '' : `expected ${expected}, but `;
      return invalidRequest(
        `Invalid type for '${param}': ${phrase}got ${withArticle(typeName(value))} instead.`,
        param,
        'invalid_type',
      );
    }
  }
}

function expectedTypes(issue: z.core.$ZodIssue): string {
  const issues = issue.code === 'invalid_union' ? issue.errors.flatMap(([first]) => first ?? []) : [issue];
  const types = issues.flatMap((found) => ('expected' in found ? [withArticle(String(found.expected))] : []));
  return types.length > 1 ? `one of ${types.join(' or ')}` : (types[0] ?? '');
}

function outOfRange(
  issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig,
  param: string,
  value: unknown,
): ApiError {
  if (Array.isArray(value)) {
    return invalidRequest(
      `Invalid '${param}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
      param,
      'empty_array',
    );
  }
  const number = Number.isInteger(value) ? 'integer' : 'decimal';
  const [side, sign, bound] =
    issue.code === 'too_small'
      ? ['below minimum', '>=', issue.minimum]
      : ['above maximum', '<=', issue.maximum];
  return invalidRequest(
    `Invalid '${param}': ${number} ${side} value. Expected a value ${sign} ${bound}, but got ${String(value)} instead.`,
    param,
    `${number}_${side.replace(' ', '_')}_value`,
  );
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function withArticle(noun: string): string {
  if (noun === 'null') return noun;
  return `${/^[aeio]/.test(noun) ? 'an' : 'a'} ${noun}`;
}
