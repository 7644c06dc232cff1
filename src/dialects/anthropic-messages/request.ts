import type { Refusal } from '../../domain/errors.ts';
import { withoutSecrets } from '../../domain/secret-parameters.ts';
import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { ClientCall, DialectRequest, UpstreamChanges, UpstreamRequest } from '../dialect.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { type ObjectMembers, spliceMembers } from '../json-splice.ts';
import {
  type Check,
  invalid,
  isBoolean,
  isObject,
  isText,
  numberOrNull,
  type ParsedBody,
  parseBody,
  wrongMember,
  wrongMessages,
  wrongModel,
} from '../request-body.ts';
import { isEventStream } from '../sse-follower.ts';
import { estimateInputTokens } from './estimate.ts';
import { countablePrompt } from './prompt.ts';
import { serviceTierOf } from './service-tier.ts';
import { serverToolUnits } from './tools.ts';

/** Members that decide what is served and what is charged for it. */
const billingMembers: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'max_tokens',
  'stream',
  'service_tier',
  'speed',
  'inference_geo',
  'fallbacks',
  'thread',
  'tools',
]);

/** Zero is a real maximum: the prompt is written to the cache, and nothing is generated. */
const isMaximum: Check = (value) =>
  Number.isSafeInteger(value) && Number(value) >= 0 ? null : 'must be a whole number of 0 or more';

const isList: Check = (value) => (asArray(value) === null ? 'must be a list' : null);

const checks: Readonly<Record<string, Check>> = {
  stream: isBoolean,
  service_tier: isText,
  speed: isText,
  inference_geo: isText,
  tools: isList,
  thread: isObject,
};

function findWrongMember(request: JsonObject): Refusal | null {
  return wrongModel(request.model) ?? wrongMessages(request.messages) ?? wrongMember(request, checks);
}

function findWrongMaximum(request: JsonObject): Refusal | null {
  const { max_tokens: maximum } = request;
  if (maximum !== undefined && maximum !== null) return wrongMember(request, { max_tokens: isMaximum });
  const message = '"max_tokens" is missing. Send how many tokens the answer may have at most.';
  return invalid(message, 'max_tokens');
}

export function readRequest(call: ClientCall): DialectRequest | Refusal {
  const example = '{"model": …, "max_tokens": …, "messages": […]}';
  const parsed = parseBody(call.body, billingMembers, example);
  if (parsed.kind === 'refused') return parsed;
  const wrong = findWrongMember(parsed.value) ?? findWrongMaximum(parsed.value);
  return wrong ?? new MessagesRequest(call, parsed, '/v1/messages');
}

export function readCountRequest(call: ClientCall): DialectRequest | Refusal {
  const parsed = parseBody(call.body, billingMembers, '{"model": …, "messages": […]}');
  if (parsed.kind === 'refused') return parsed;
  return findWrongMember(parsed.value) ?? new CountTokensRequest(call, parsed, '/v1/messages/count_tokens');
}

function pathWith(path: string, query: URLSearchParams): string {
  const kept = withoutSecrets(query);
  return kept.size === 0 ? path : `${path}?${kept}`;
}

/** Models that answer where the one asked for declines, and those that it may ask for advice. */
function otherModelsOf({ fallbacks, tools }: JsonObject): readonly string[] {
  const named = [...(asArray(fallbacks) ?? []), ...(asArray(tools) ?? [])];
  return named.flatMap((entry) => asText(entry) ?? asText(asObject(entry)?.model) ?? []);
}

class MessagesRequest implements DialectRequest {
  readonly kind = 'request';
  readonly model: string;
  readonly otherModels: readonly string[];
  readonly stream: boolean;
  readonly isFree: boolean = false;
  readonly estimatedInputTokens: number;
  readonly maxOutputTokens: number | null;
  readonly choices = 1;
  readonly units: Usage;
  readonly serviceTier: string | null;
  readonly asksUsage = true;
  /** Beta headers add members all the time, and Anthropic itself refuses what it doesn't know. */
  readonly unknownMember = null;
  readonly continues: string | null;
  readonly keepsThread: boolean;
  readonly #value: JsonObject;
  readonly #members: ObjectMembers;
  readonly #call: ClientCall;
  readonly #path: string;

  constructor(call: ClientCall, { value, members }: ParsedBody, path: string) {
    this.#call = call;
    this.#value = value;
    this.#members = members;
    this.#path = path;
    const thread = asObject(value.thread);
    this.model = String(value.model);
    this.otherModels = otherModelsOf(value);
    this.stream = value.stream === true;
    this.maxOutputTokens = numberOrNull(value.max_tokens);
    this.units = serverToolUnits(value);
    this.serviceTier = serviceTierOf(value);
    this.continues = asText(thread?.previous_message_id);
    this.keepsThread = thread !== null;
    this.estimatedInputTokens = estimateInputTokens(value, this.model);
  }

  isStreamed(contentType: string): boolean {
    return isEventStream(contentType, this.stream);
  }

  callFor({ model, maxOutputTokens }: UpstreamChanges): UpstreamRequest {
    const changes = new Map<string, string>();
    if (model !== this.model) changes.set('model', JSON.stringify(model));
    if (maxOutputTokens !== null && maxOutputTokens < (this.maxOutputTokens ?? 0)) {
      changes.set('max_tokens', String(maxOutputTokens));
    }
    const { body, query } = this.#call;
    return {
      path: pathWith(this.#path, query),
      body: spliceMembers(body, this.#members, changes),
    };
  }

  prompt(): Countable {
    return countablePrompt(this.#value, this.model);
  }
}

/** Counting generates nothing and costs nothing, whatever its body names. */
class CountTokensRequest extends MessagesRequest {
  override readonly stream = false;
  override readonly isFree = true;
  override readonly maxOutputTokens = 0;
  override readonly units: Usage = {};
}

/** Whether the provider keeps the conversation under the id of the answer. */
export function startsThread(request: DialectRequest): boolean {
  return request instanceof MessagesRequest && request.keepsThread;
}
