import type { Refusal } from '../../domain/errors.ts';
import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { ClientCall, DialectRequest, UpstreamChanges, UpstreamRequest } from '../dialect.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { type ObjectMembers, spliceMembers } from '../json-splice.ts';
import {
  type Check,
  invalid,
  isBoolean,
  isText,
  isWholeNumber,
  numberOrNull,
  type ParsedBody,
  parseBody,
  wrongMember,
  wrongModel,
} from '../request-body.ts';
import { isEventStream } from '../sse-follower.ts';
import { toolUnits } from './built-in-tools.ts';
import { estimateInputTokens } from './estimate.ts';
import { countablePrompt } from './prompt.ts';

const maximumMember = 'max_output_tokens';

/** Members that decide what is served and what is charged for it. */
const billingMembers: ReadonlySet<string> = new Set([
  'model',
  'input',
  'instructions',
  'stream',
  'background',
  'service_tier',
  'tools',
  'max_tool_calls',
  'previous_response_id',
  'conversation',
  'prompt',
  maximumMember,
]);

/**
 * Members by which OpenRouter has another model answer than the one that was priced. Any other that isn't
 * known here is passed on: this API grows, and providers refuse what they don't know.
 */
const otherModelMembers = ['models', 'route', 'fallbacks', 'preset'] as const;

const isList: Check = (value) => (asArray(value) === null ? 'must be a list' : null);

const hasId: Check = (value) =>
  asText(asObject(value)?.id) === null ? 'must be an object with an "id"' : null;

const isIdOrHasId: Check = (value) =>
  asText(value) === null && hasId(value) !== null ? 'must be an id, or an object with an "id"' : null;

const checks: Readonly<Record<string, Check>> = {
  input: (value) =>
    typeof value === 'string' || asArray(value) !== null ? null : 'must be a text or a list',
  instructions: isText,
  stream: isBoolean,
  background: isBoolean,
  service_tier: isText,
  tools: isList,
  max_tool_calls: isWholeNumber,
  previous_response_id: isText,
  conversation: isIdOrHasId,
  prompt: hasId,
  [maximumMember]: isWholeNumber,
};

/** The name of what the provider remembers and puts before the input; null where that is nothing. */
function continuedId({ previous_response_id: previous, conversation, prompt }: JsonObject): string | null {
  const conversationId = asText(conversation) ?? asText(asObject(conversation)?.id);
  return asText(previous) ?? conversationId ?? asText(asObject(prompt)?.id);
}

function findWrongMember(request: JsonObject): Refusal | null {
  const wrong = wrongModel(request.model) ?? wrongMember(request, checks);
  if (wrong !== null) return wrong;
  if (request.background === true) return backgroundRefusal;
  const { input } = request;
  const list = asArray(input);
  if ((list === null ? asText(input) === null : list.length === 0) && continuedId(request) === null) {
    return invalid('"input" is missing or empty. Send a text or a list of at least one item.', 'input');
  }
  const index = list?.findIndex((item) => asObject(item) === null) ?? -1;
  return index === -1
    ? null
    : invalid(`"input[${index}]" is not an object. Send {"role": …, "content": …}.`, `input[${index}]`);
}

/** The answer comes at once and without usage; what it comes to would be known only to who asks for it later. */
const backgroundRefusal = invalid(
  '"background" can\'t be true: such an answer is generated after its request has ended, where this gateway ' +
    'can\'t meter it. Nothing was charged: leave "background" out, and set "stream" for an answer that takes long.',
  'background',
);

export function readRequest({ body }: Pick<ClientCall, 'body'>): DialectRequest | Refusal {
  const parsed = parseBody(body, billingMembers, '{"model": …, "input": …}');
  if (parsed.kind === 'refused') return parsed;
  return findWrongMember(parsed.value) ?? new ResponsesRequest(body, parsed);
}

class ResponsesRequest implements DialectRequest {
  readonly kind = 'request';
  readonly isFree = false;
  /** There is one answer, and its stream carries usage unasked. */
  readonly choices = 1;
  readonly asksUsage = true;
  readonly unknownMember: string | null;
  readonly model: string;
  readonly stream: boolean;
  readonly estimatedInputTokens: number;
  readonly continues: string | null;
  readonly maxOutputTokens: number | null;
  readonly units: Usage;
  readonly serviceTier: string | null;
  readonly #body: Buffer;
  readonly #value: JsonObject;
  readonly #members: ObjectMembers;

  constructor(body: Buffer, { value, members }: ParsedBody) {
    this.#body = body;
    this.#value = value;
    this.#members = members;
    this.model = String(value.model);
    this.stream = value.stream === true;
    this.unknownMember = otherModelMembers.find((name) => (value[name] ?? null) !== null) ?? null;
    this.continues = continuedId(value);
    this.maxOutputTokens = numberOrNull(value[maximumMember]);
    this.serviceTier = asText(value.service_tier);
    this.estimatedInputTokens = estimateInputTokens(value, this.model);
    this.units = toolUnits(value, this.estimatedInputTokens);
  }

  isStreamed(contentType: string): boolean {
    return isEventStream(contentType, this.stream);
  }

  callFor({ model, maxOutputTokens }: UpstreamChanges): UpstreamRequest {
    const changes = new Map<string, string>();
    if (model !== this.model) changes.set('model', JSON.stringify(model));
    if (maxOutputTokens !== null && (this.maxOutputTokens ?? Number.POSITIVE_INFINITY) > maxOutputTokens) {
      changes.set(maximumMember, String(maxOutputTokens));
    }
    return { path: '/responses', body: spliceMembers(this.#body, this.#members, changes) };
  }

  prompt(): Countable {
    return countablePrompt(this.#value);
  }
}
