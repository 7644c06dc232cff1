import type { Refusal } from '../../domain/errors.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { ClientCall, DialectRequest, UpstreamChanges, UpstreamRequest } from '../dialect.ts';
import { asText, type JsonObject } from '../json.ts';
import { spliceMembers } from '../json-splice.ts';
import { countableInputs, readInputs, type TextInput, textInput } from '../openai/inputs.ts';
import { asksUsage, optionsWithUsage, streamOptions, wrongStreamOptions } from '../openai/stream-options.ts';
import { unknownMemberOf } from '../openai-chat/known-members.ts';
import { addOtherMembers } from '../openai-chat/other-members.ts';
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
  wrongModel,
} from '../request-body.ts';
import { isEventStream } from '../sse-follower.ts';
import { TextEstimate } from '../text-estimate.ts';
import type { Echo } from './echo.ts';
import { knownMembers } from './known-members.ts';

/** OpenAI's own limit of `n`; its limit of `best_of` is lower, and other providers have none. */
const mostChoices = 128;

/** What marks the start of a prompt, and the places of prefix and suffix around what is filled in. */
const tokensPerPrompt = 2;
const tokensPerSuffix = 4;

/** Where the client sends no prompt, a model begins a document: with one token that says so. */
const noPrompt: readonly TextInput[] = [{ kind: 'ids', count: 1 }];

/** Members that decide what is served and what is charged for it. */
const billingMembers: ReadonlySet<string> = new Set([
  'model',
  'prompt',
  'suffix',
  'stream',
  streamOptions,
  'n',
  'best_of',
  'echo',
  'max_tokens',
  'service_tier',
]);

const isChoiceCount: Check = (value) =>
  isWholeNumber(value) ?? (Number(value) <= mostChoices ? null : `must not be more than ${mostChoices}`);

const checks: Readonly<Record<string, Check>> = {
  suffix: isText,
  stream: isBoolean,
  [streamOptions]: isObject,
  echo: isBoolean,
  service_tier: isText,
  n: isChoiceCount,
  best_of: isChoiceCount,
  // With `echo` and none at all a client has its prompt scored.
  max_tokens: (value) => (value === 0 ? null : isWholeNumber(value)),
};

export function readRequest({ body }: ClientCall): DialectRequest | Refusal {
  const parsed = parseBody(body, billingMembers, '{"model": …, "prompt": …}');
  if (parsed.kind === 'refused') return parsed;
  const { value } = parsed;
  const wrong = wrongModel(value.model) ?? wrongMember(value, checks) ?? wrongStreamOptions(body, parsed);
  if (wrong !== null) return wrong;
  if (value.prompt === null) return new CompletionRequest(body, parsed, noPrompt);
  const prompts = readInputs(value.prompt, 'prompt', textInput);
  return prompts.kind === 'refused' ? prompts : new CompletionRequest(body, parsed, prompts.list);
}

/** `best_of` answers are generated and billed for each prompt, of which `n` are shown. */
function choicesPerPrompt({ n, best_of: bestOf }: JsonObject): number {
  return Math.max(numberOrNull(n) ?? 1, numberOrNull(bestOf) ?? 1);
}

/** Members whose texts are added up by what they are. */
const estimatedMembers: ReadonlySet<string> = new Set(['prompt', 'suffix']);

function estimateInput(request: JsonObject, prompts: readonly TextInput[], suffix: string | null): number {
  const estimate = new TextEstimate();
  addOtherMembers(estimate, request, estimatedMembers);
  for (const prompt of prompts) {
    estimate.addTokens(tokensPerPrompt);
    if (prompt.kind === 'text') estimate.add(prompt.text);
    else estimate.addTokens(prompt.count);
    if (suffix !== null) {
      estimate.addTokens(tokensPerSuffix);
      estimate.add(suffix);
    }
  }
  return estimate.total();
}

export class CompletionRequest implements DialectRequest {
  readonly kind = 'request';
  readonly model: string;
  readonly stream: boolean;
  readonly isFree = false;
  readonly continues = null;
  readonly estimatedInputTokens: number;
  /**
   * Without a maximum OpenAI and vLLM generate 16 tokens, others as many as the model can: so the hold is
   * for that, and what isn't used is released with the answer.
   */
  readonly maxOutputTokens: number | null;
  readonly choices: number;
  readonly units = {};
  readonly serviceTier: string | null;
  readonly asksUsage: boolean;
  /** Null where the prompts aren't repeated in the answer. */
  readonly echo: Echo | null;
  readonly #body: Buffer;
  readonly #parsed: ParsedBody;
  readonly #prompts: readonly TextInput[];
  readonly #suffix: string | null;

  constructor(body: Buffer, parsed: ParsedBody, prompts: readonly TextInput[]) {
    const { value } = parsed;
    this.#body = body;
    this.#parsed = parsed;
    this.#prompts = prompts;
    this.#suffix = asText(value.suffix);
    this.model = String(value.model);
    this.stream = value.stream === true;
    this.asksUsage = asksUsage(value);
    this.maxOutputTokens = numberOrNull(value.max_tokens);
    this.choices = prompts.length * choicesPerPrompt(value);
    this.serviceTier = asText(value.service_tier);
    this.echo = value.echo === true ? { prompts, choicesPerPrompt: numberOrNull(value.n) ?? 1 } : null;
    this.estimatedInputTokens = estimateInput(value, prompts, this.#suffix);
  }

  get unknownMember(): string | null {
    return unknownMemberOf(this.#parsed.value, knownMembers);
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
    // This format never had another name for it, whatever a provider calls it in chat completions.
    // Where the client set no maximum, the provider's own default may be lower: it is never raised.
    const most = this.maxOutputTokens ?? quirks.defaultCompletionTokens ?? Number.POSITIVE_INFINITY;
    if (maxOutputTokens !== null && most > maxOutputTokens) {
      changes.set('max_tokens', String(maxOutputTokens));
    }
    return { path: '/completions', body: spliceMembers(this.#body, this.#parsed.members, changes) };
  }

  prompt(): Countable {
    const { texts, overhead } = countableInputs(this.#prompts);
    const suffixes = this.#suffix === null ? [] : this.#prompts.map(() => this.#suffix ?? '');
    return { texts: [...texts, ...suffixes], overhead };
  }
}
