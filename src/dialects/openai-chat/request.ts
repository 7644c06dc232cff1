import { isUtf8 } from 'node:buffer';
import { type Refusal, refusal } from '../../domain/errors.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { BodyChanges, DialectRequest } from '../dialect.ts';
import { asArray, asObject, type JsonObject } from '../json.ts';
import { findMembers, type ObjectMembers, spliceMembers } from '../json-splice.ts';
import { estimateInputTokens } from './estimate.ts';
import { countablePrompt } from './prompt.ts';
import { type ProviderQuirks, quirksOf } from './quirks.ts';

/** OpenAI's own limit. */
const mostChoices = 128;

const maxTokensMembers = ['max_tokens', 'max_completion_tokens'] as const;
const includeUsage = 'include_usage';

/** Members that decide what is served and what is charged for it. */
const billingMembers: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'n',
  ...maxTokensMembers,
]);

function invalid(message: string, param?: string): Refusal {
  return refusal('REQUEST_INVALID', message, param === undefined ? {} : { param });
}

/** The body as an object, and where its members stand. */
interface Parsed {
  readonly kind: 'parsed';
  readonly value: JsonObject;
  readonly members: ObjectMembers;
}

function parse(body: Buffer): Parsed | Refusal {
  if (!isUtf8(body)) return invalid('The body is not UTF-8 text. Send JSON encoded as UTF-8.');
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (error) {
    return invalid(`The body is not valid JSON: ${error instanceof Error ? error.message : 'unreadable'}.`);
  }
  const value = asObject(parsed);
  if (value === null) return invalid('The body is not a JSON object. Send {"model": …, "messages": […]}.');
  const members = findMembers(body, billingMembers);
  return members.kind === 'ambiguous'
    ? ambiguous(members.name, members.watchedName)
    : { kind: 'parsed', value, members };
}

function ambiguous(name: string, watchedName: string): Refusal {
  const message =
    name === watchedName
      ? `"${name}" occurs twice. Send it once: which of them counts would depend on who reads it.`
      : `"${name}" looks like "${watchedName}" and may be read as that. Send "${watchedName}", or leave it out.`;
  return invalid(message, watchedName);
}

/** What is wrong with a member, if anything. Absent and null members are never wrong here. */
type Check = (value: unknown) => string | null;

const isWholeNumber: Check = (value) =>
  Number.isSafeInteger(value) && Number(value) >= 1 ? null : 'must be a whole number of 1 or more';

const checks: Readonly<Record<string, Check>> = {
  stream: (value) => (typeof value === 'boolean' ? null : 'must be true or false'),
  stream_options: (value) => (asObject(value) === null ? 'must be an object' : null),
  n: (value) =>
    isWholeNumber(value) ?? (Number(value) <= mostChoices ? null : `must not be more than ${mostChoices}`),
  max_tokens: isWholeNumber,
  max_completion_tokens: isWholeNumber,
};

function findWrongMember(request: JsonObject): Refusal | null {
  const { model, messages } = request;
  if (typeof model !== 'string' || model.trim() === '' || model.length > maxModelLength) {
    const message = `"model" is missing, not a text, or longer than ${maxModelLength} characters. Send the name of a model.`;
    return invalid(message, 'model');
  }
  const list = asArray(messages);
  if (list === null || list.length === 0) {
    return invalid('"messages" is missing or empty. Send a list of at least one message.', 'messages');
  }
  const wrong = list.findIndex((message) => asObject(message) === null);
  if (wrong !== -1) {
    return invalid(
      `"messages[${wrong}]" is not an object. Send {"role": …, "content": …}.`,
      `messages[${wrong}]`,
    );
  }
  for (const [name, check] of Object.entries(checks)) {
    const value = request[name];
    const fault = value === undefined || value === null ? null : check(value);
    if (fault !== null) return invalid(`"${name}" ${fault}.`, name);
  }
  const asked = asObject(request.stream_options)?.[includeUsage] ?? false;
  if (typeof asked === 'boolean') return null;
  return invalid(`"stream_options.${includeUsage}" must be true or false.`, `stream_options.${includeUsage}`);
}

/** Reads what matters for admission. Members that aren't known here are the provider's business. */
/** Longer than any model's name: it would be carried through logs and messages. */
const maxModelLength = 256;

export function readRequest(body: Buffer): DialectRequest | Refusal {
  const parsed = parse(body);
  if (parsed.kind === 'refused') return parsed;
  const wrong = findWrongMember(parsed.value);
  if (wrong !== null) return wrong;
  const options = parsed.members.spans.get('stream_options');
  if (options !== undefined && asObject(parsed.value.stream_options) !== null) {
    const inner = findMembers(body.subarray(options.start, options.end), new Set([includeUsage]));
    if (inner.kind === 'ambiguous') return ambiguous(inner.name, inner.watchedName);
  }
  return new ChatRequest(body, parsed);
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

class ChatRequest implements DialectRequest {
  readonly kind = 'request';
  readonly model: string;
  readonly stream: boolean;
  readonly estimatedInputTokens: number;
  readonly maxOutputTokens: number | null;
  readonly choices: number;
  readonly asksUsage: boolean;
  readonly #body: Buffer;
  readonly #value: JsonObject;
  readonly #members: ObjectMembers;

  constructor(body: Buffer, { value, members }: Parsed) {
    this.#body = body;
    this.#value = value;
    this.#members = members;
    this.model = String(value.model);
    this.stream = value.stream === true;
    this.asksUsage = this.stream && asObject(value.stream_options)?.[includeUsage] === true;
    this.choices = numberOrNull(value.n) ?? 1;
    const limits = maxTokensMembers.flatMap((name) => numberOrNull(value[name]) ?? []);
    this.maxOutputTokens = limits.length === 0 ? null : Math.max(...limits);
    this.estimatedInputTokens = estimateInputTokens(value, this.model);
  }

  bodyFor({ model, provider, maxOutputTokens }: BodyChanges): Buffer {
    const quirks = quirksOf(provider);
    const changes = new Map<string, Buffer | string>();
    if (model !== this.model) changes.set('model', JSON.stringify(model));
    if (this.stream && !this.asksUsage && quirks.takesStreamOptions) {
      changes.set('stream_options', this.#optionsWithUsage());
    }
    if (maxOutputTokens !== null) this.#capOutput(maxOutputTokens, quirks, changes);
    return spliceMembers(this.#body, this.#members, changes);
  }

  prompt(): Countable {
    return countablePrompt(this.#value);
  }

  #optionsWithUsage(): Buffer {
    const span = this.#members.spans.get('stream_options');
    const isObject = asObject(this.#value.stream_options) !== null;
    const options =
      span !== undefined && isObject ? this.#body.subarray(span.start, span.end) : Buffer.from('{}');
    const members = findMembers(options, new Set([includeUsage]));
    return members.kind === 'ambiguous'
      ? options
      : spliceMembers(options, members, new Map([[includeUsage, 'true']]));
  }

  /** Lowers what the client set, where it set something: OpenAI refuses requests with both members. */
  #capOutput(most: number, quirks: ProviderQuirks, changes: Map<string, Buffer | string>): void {
    const own = maxTokensMembers.filter((name) => numberOrNull(this.#value[name]) !== null);
    for (const name of own) {
      if (Number(this.#value[name]) > most) changes.set(name, String(most));
    }
    if (own.length === 0) changes.set(quirks.maxTokensMember, String(most));
  }
}
