import type { Refusal } from '../../domain/errors.ts';
import type { Quirks } from '../../domain/quirks.ts';
import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { ClientCall, DialectRequest, UpstreamChanges, UpstreamRequest } from '../dialect.ts';
import { asText, type JsonObject } from '../json.ts';
import { spliceMembers } from '../json-splice.ts';
import { asksUsage, optionsWithUsage, streamOptions, wrongStreamOptions } from '../openai/stream-options.ts';
import {
  type Check,
  isBoolean,
  isObject,
  isText,
  isWholeNumber,
  numberOrNull,
  type ParsedBody,
  parseBody,
  wrongMember,
  wrongMessages,
  wrongModel,
} from '../request-body.ts';
import { isEventStream } from '../sse-follower.ts';
import { estimateInputTokens } from './estimate.ts';
import { expectedUnits } from './expected-units.ts';
import { unknownMemberOf } from './known-members.ts';
import { countablePrompt } from './prompt.ts';
import { continuedId } from './stored-context.ts';

/** OpenAI's own limit. */
const mostChoices = 128;

const maxTokensMembers = ['max_tokens', 'max_completion_tokens'] as const;

/** Members that decide what is served and what is charged for it. */
const billingMembers: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'stream',
  streamOptions,
  'n',
  'service_tier',
  ...maxTokensMembers,
]);

const checks: Readonly<Record<string, Check>> = {
  stream: isBoolean,
  [streamOptions]: isObject,
  service_tier: isText,
  n: (value) =>
    isWholeNumber(value) ?? (Number(value) <= mostChoices ? null : `must not be more than ${mostChoices}`),
  max_tokens: isWholeNumber,
  max_completion_tokens: isWholeNumber,
};

function findWrongMember(request: JsonObject): Refusal | null {
  return wrongModel(request.model) ?? wrongMessages(request.messages) ?? wrongMember(request, checks);
}

export function readRequest({ body }: ClientCall): DialectRequest | Refusal {
  const parsed = parseBody(body, billingMembers, '{"model": …, "messages": […]}');
  if (parsed.kind === 'refused') return parsed;
  return findWrongMember(parsed.value) ?? wrongStreamOptions(body, parsed) ?? new ChatRequest(body, parsed);
}

class ChatRequest implements DialectRequest {
  readonly kind = 'request';
  readonly model: string;
  readonly stream: boolean;
  readonly estimatedInputTokens: number;
  readonly maxOutputTokens: number | null;
  readonly choices: number;
  readonly asksUsage: boolean;
  readonly isFree = false;
  readonly continues: string | null;
  readonly serviceTier: string | null;
  readonly units: Usage;
  readonly #body: Buffer;
  readonly #parsed: ParsedBody;

  constructor(body: Buffer, parsed: ParsedBody) {
    const { value } = parsed;
    this.#body = body;
    this.#parsed = parsed;
    this.model = String(value.model);
    this.stream = value.stream === true;
    this.asksUsage = asksUsage(value);
    this.choices = numberOrNull(value.n) ?? 1;
    const limits = maxTokensMembers.flatMap((name) => numberOrNull(value[name]) ?? []);
    this.maxOutputTokens = limits.length === 0 ? null : Math.max(...limits);
    this.serviceTier = asText(value.service_tier);
    this.continues = continuedId(value);
    this.units = expectedUnits(value, this.choices);
    this.estimatedInputTokens = estimateInputTokens(value, this.model);
  }

  get unknownMember(): string | null {
    return unknownMemberOf(this.#parsed.value);
  }

  isStreamed(contentType: string): boolean {
    return isEventStream(contentType, this.stream);
  }

  callFor({ model, quirks, maxOutputTokens }: UpstreamChanges): UpstreamRequest {
    const changes = new Map<string, Buffer | string>();
    if (model !== this.model) changes.set('model', JSON.stringify(model));
    if (this.stream && !this.asksUsage && quirks.takesStreamOptions) {
      changes.set(streamOptions, optionsWithUsage(this.#body, this.#parsed));
    }
    if (maxOutputTokens !== null) this.#capOutput(maxOutputTokens, quirks, changes);
    return { path: '/chat/completions', body: spliceMembers(this.#body, this.#parsed.members, changes) };
  }

  prompt(): Countable {
    return countablePrompt(this.#parsed.value);
  }

  /** Lowers what the client set, where it set something: OpenAI refuses requests with both members. */
  #capOutput(most: number, quirks: Quirks, changes: Map<string, Buffer | string>): void {
    const own = maxTokensMembers.filter((name) => numberOrNull(this.#parsed.value[name]) !== null);
    for (const name of own) {
      if (Number(this.#parsed.value[name]) > most) changes.set(name, String(most));
    }
    if (own.length === 0) changes.set(quirks.maxTokensMember, String(most));
  }
}
