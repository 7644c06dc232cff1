import type { Quirks } from '../../domain/quirks.ts';
import { outputTokens, type Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import { type AnswerContext, nothingSaid, type StreamReading } from '../dialect.ts';
import { asObject, asText, type JsonObject } from '../json.ts';
import { errorMessage } from '../openai/errors.ts';
import { GeneratedText } from './generated.ts';
import { Grounding } from './grounding.ts';
import { asList } from './prompt-pieces.ts';
import { servedTier } from './service-tier.ts';
import { countedOutput, hasCounts, normaliseUsage, withSearchInput } from './usage.ts';

/** What has to be known of a request to meter its answer. */
export interface MeterContext {
  readonly quirks: Quirks;
  readonly request: Pick<AnswerContext['request'], 'model' | 'continues'>;
}

/** By their numbers, for answers with `enum-encoding=int`: those that both of Google's APIs number alike. */
const finishReasons: readonly string[] = ['', 'STOP', 'MAX_TOKENS', 'SAFETY', 'RECITATION'];
const blockReasons: readonly string[] = ['', 'SAFETY', 'OTHER', 'BLOCKLIST', 'PROHIBITED_CONTENT'];

/** Zero and "…_UNSPECIFIED" stand for nothing. */
function reasonOf(value: unknown, names: readonly string[]): string | null {
  if (typeof value === 'number') return value === 0 ? null : (names[value] ?? String(value));
  const name = asText(value);
  return name === null || name.endsWith('_UNSPECIFIED') ? null : name;
}

/**
 * Meters an answer chunk by chunk: one that isn't a stream is a single chunk. Usage is cumulative, and the
 * last one counts: candidates may fall back to nothing in between, and the prompt may change at the end.
 */
export class AnswerMeter {
  readonly #quirks: Quirks;
  readonly #request: MeterContext['request'];
  readonly #generated = new GeneratedText();
  readonly #grounding = new Grounding();
  /** By candidate: null while it goes on. */
  readonly #finishReasons = new Map<unknown, string | null>();
  /** The last usage that says anything of tokens; before that, the last of any kind. */
  #usage: JsonObject | null = null;
  #usageCounts = false;
  /** Whether text came after that usage, which then can't have counted it. */
  #usageIsStale = false;
  #serviceTier: string | null = null;
  #modelVersion: string | null = null;
  #responseId: string | null = null;
  /** Why the prompt wasn't taken: then nothing is generated. */
  #blockReason: string | null = null;
  #error: string | null = null;
  #begun = false;
  /** Whether pages that a URL named were put before the model, which are charged as input. */
  #readsPages = false;

  constructor({ quirks, request }: MeterContext) {
    this.#quirks = quirks;
    this.#request = request;
  }

  /** An element of the array, the data of an event, or the body of a whole answer. */
  take(value: unknown): void {
    const chunk = asObject(value);
    if (chunk === null) return;
    const error = errorMessage(chunk.error);
    if (error !== null) this.#error = error;
    this.#blockReason =
      reasonOf(asObject(chunk.promptFeedback)?.blockReason, blockReasons) ?? this.#blockReason;
    if (error === null && this.#blockReason === null) this.#begun = true;
    this.#modelVersion = asText(chunk.modelVersion) ?? this.#modelVersion;
    this.#responseId = asText(chunk.responseId) ?? this.#responseId;
    let hasText = false;
    for (const [position, entry] of asList(chunk.candidates).entries()) {
      const candidate = asObject(entry);
      if (candidate !== null && this.#takeCandidate(candidate, position)) hasText = true;
    }
    this.#takeUsage(asObject(chunk.usageMetadata), hasText);
  }

  /** @param isWhole whether nothing more can come, whatever the candidates say of their end */
  reading(isWhole = false): StreamReading {
    const finishReason = this.#blockReason ?? this.#finishReason();
    const { usage, generated } = this.#metered(isWhole || finishReason !== null);
    return {
      ...nothingSaid,
      usage,
      units: this.#grounding.units(this.#model()),
      generated,
      begun: this.#begun,
      usageIsFinal: false,
      finishReason,
      error: this.#error ?? this.#unmeteredBlock(),
      serviceTier: this.#serviceTier,
      reported: this.#usage,
      // The whole prompt is at least as long as the cached content in it: the next hold may rely on that.
      answerId: usage === null ? null : this.#request.continues,
      responseId: this.#responseId,
      responseModel: this.#modelVersion,
    };
  }

  #takeCandidate(candidate: JsonObject, position: number): boolean {
    const index = candidate.index ?? position;
    let hasText = false;
    for (const entry of asList(asObject(candidate.content)?.parts)) {
      const part = asObject(entry);
      if (part !== null && this.#generated.add(index, part)) hasText = true;
    }
    this.#grounding.add(asObject(candidate.groundingMetadata));
    if (asObject(candidate.urlContextMetadata) !== null) this.#readsPages = true;
    this.#finishReasons.set(
      index,
      reasonOf(candidate.finishReason, finishReasons) ?? this.#finishReasons.get(index) ?? null,
    );
    return hasText;
  }

  #takeUsage(usage: JsonObject | null, hasText: boolean): void {
    this.#serviceTier = servedTier(usage) ?? this.#serviceTier;
    const counts = usage !== null && hasCounts(usage);
    if (counts || (usage !== null && !this.#usageCounts)) this.#usage = usage;
    if (counts) this.#usageCounts = true;
    if (counts || hasText) this.#usageIsStale = !counts;
  }

  /** Of the first candidate, once all that were begun have ended: until then the answer isn't whole. */
  #finishReason(): string | null {
    const reasons = [...this.#finishReasons.values()];
    return reasons.includes(null) ? null : (reasons[0] ?? null);
  }

  /** A prompt that was blocked, and that Google counts nothing for, costs nothing. */
  #unmeteredBlock(): string | null {
    const isUnmetered = this.#blockReason !== null && !this.#usageCounts;
    return isUnmetered ? `The prompt was blocked: ${this.#blockReason}` : null;
  }

  /**
   * Usage that text came after is still the best account of the input while the stream runs. Once the answer
   * has ended, what leaves out its text is no account of it, and ours is better.
   */
  #metered(hasEnded: boolean): { usage: Usage | null; generated: Countable } {
    const generated = this.#generated.countable();
    const reported = this.#usageCounts ? this.#usage : null;
    if (reported === null || (hasEnded && this.#usageIsStale)) return { usage: null, generated };
    const usage = normaliseUsage(reported, this.#quirks);
    if (usage === null) {
      const counted = hasEnded ? countedOutput(reported) : null;
      return { usage: null, generated: counted === null ? generated : { texts: [], overhead: counted } };
    }
    // All zero beside text is a slip of upstream's, not a free answer.
    if (hasEnded && !this.#generated.isEmpty && outputTokens(usage) === 0) return { usage: null, generated };
    const searched = this.#grounding.isSearch && !this.#readsPages;
    const classes = searched ? withSearchInput(usage, reported) : usage;
    return { usage: { ...classes, ...this.#grounding.units(this.#model()) }, generated };
  }

  /** What served it: the name that was asked for may be one of our own. */
  #model(): string {
    return this.#modelVersion ?? this.#request.model;
  }
}
