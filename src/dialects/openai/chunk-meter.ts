import {
  type EventFate,
  nothingSaid,
  type SseEvent,
  type StreamMeter,
  type StreamReading,
} from '../dialect.ts';
import { asObject, type JsonObject, parseJson } from '../json.ts';
import {
  type AnswerName,
  answerNameOf,
  type Choices,
  serviceTierOf,
  type TakenChoices,
  takeChoices,
} from './choices.ts';
import { errorMessage } from './errors.ts';
import { statedCost } from './stated-cost.ts';

/** The end of a stream, as a value of `data`. */
const done = '[DONE]';

/** What may be priced in another way than by its tokens: no room is that large. */
const beyondAnyRoom = 2 ** 32;

/** The usage of a chunk. Groq repeats it under `x_groq`: the same counts, never to be added. */
function usageOf(chunk: JsonObject): JsonObject | null {
  return asObject(chunk.usage) ?? asObject(asObject(chunk.x_groq)?.usage);
}

/** Meters a stream of chunks, each with pieces of some choices. */
export class ChunkMeter implements StreamMeter {
  readonly #choices: Choices;
  readonly #clientAsksUsage: boolean;
  /** The last usage seen: providers that send several send them cumulative. */
  #usage: JsonObject | null = null;
  /** Whether something was generated after that usage, which then can't have counted it. */
  #usageIsStale = false;
  /** Whether a chunk came that carries nothing but usage, as OpenAI sends it behind the last choice. */
  #usageCameAlone = false;
  #finishReason: string | null = null;
  #closed = false;
  #error: string | null = null;
  #begun = false;
  #serviceTier: string | null = null;
  #generatedAtMost = 0;
  /** Whether there was anything but text: tokens around it may then come with any chunk. */
  #isMixed = false;
  /** On the model, as the last chunk says, depends what the format adds around a text, once there is one. */
  #model: unknown;
  #hasText = false;
  #unitCount = 0;
  /** As the first chunk that has one says. */
  #name: AnswerName | null = null;

  /** @param clientAsksUsage whether chunks that carry nothing but usage are for the client, too */
  constructor(choices: Choices, clientAsksUsage: boolean) {
    this.#choices = choices;
    this.#clientAsksUsage = clientAsksUsage;
  }

  get generatedAtMost(): number {
    return this.#generatedAtMost;
  }

  take(event: SseEvent): EventFate {
    if (event.data === null) return 'relay';
    const chunk = asObject(parseJson(event.data));
    if (chunk === null) return this.#takeUnparsed(event.type, event.data);
    const before = this.#usageStanding;
    const error = errorMessage(chunk.error) ?? (event.type === 'error' ? errorMessage(chunk) : null);
    if (error === null) this.#begun = true;
    else this.#error = error;
    const taken = takeChoices(chunk, this.#choices);
    const { count, hasContent, finishReason } = taken;
    this.#finishReason = finishReason ?? this.#finishReason;
    if (this.#name === null && chunk.id !== undefined) this.#name = answerNameOf(chunk);
    const usage = usageOf(chunk);
    this.#takeUsage(usage, hasContent);
    const isTakenBack = this.#usage !== null && this.#usageStanding < before;
    const isPricedAnew = this.#takePricing(chunk, usage);
    const growth = this.#growthOf(taken, chunk.model, event);
    // A usage that doesn't say all any more leaves it to our own counts what the prompt comes to as well.
    this.#generatedAtMost += isPricedAnew || isTakenBack ? beyondAnyRoom : growth;
    const isOnlyUsage = usage !== null && count === 0 && error === null;
    if (isOnlyUsage) this.#usageCameAlone = true;
    return isOnlyUsage && !this.#clientAsksUsage ? 'keep' : 'relay';
  }

  /**
   * Usage that text came after is still the best account of the input while the stream runs. Once the
   * answer has ended it is the wrong account of the output, and none is better.
   */
  reading(): StreamReading {
    const usage = this.#usageStanding === 0 ? null : this.#usage;
    return {
      ...nothingSaid,
      begun: this.#begun,
      usageIsFinal: this.#usageCameAlone && !this.#usageIsStale,
      usage: this.#choices.usageOf(usage),
      units: this.#choices.units(),
      generated: this.#choices.generated(),
      finishReason: this.#finishReason,
      error: this.#error,
      serviceTier: this.#serviceTier,
      statedCost: statedCost(usage),
      reported: this.#usage,
      ...this.#name,
    };
  }

  #takeUsage(usage: JsonObject | null, hasContent: boolean): void {
    if (usage !== null) this.#usage = usage;
    if (usage !== null || hasContent) this.#usageIsStale = usage === null;
  }

  /** Whether what was generated may cost another price, or something beside its tokens, from now on. */
  #takePricing(chunk: JsonObject, usage: JsonObject | null): boolean {
    const serviceTier = serviceTierOf(chunk, usage) ?? this.#serviceTier;
    const { unitCount } = this.#choices;
    const isAnew = serviceTier !== this.#serviceTier || unitCount !== this.#unitCount;
    this.#serviceTier = serviceTier;
    this.#unitCount = unitCount;
    return isAnew;
  }

  /** How much of the truth the usage is: all (2), of the input alone (1), or nothing any more (0). */
  get #usageStanding(): number {
    if (!this.#usageIsStale) return 2;
    return this.#closed || this.#finishReason !== null ? 0 : 1;
  }

  #growthOf({ hasContent, textBytes }: TakenChoices, model: unknown, { raw }: SseEvent): number {
    if (textBytes === null) this.#isMixed = true;
    const isLikeBefore = this.#hasText && this.#model === model;
    this.#model = model;
    if (hasContent) this.#hasText = true;
    return textBytes !== null && isLikeBefore && !this.#isMixed ? textBytes : raw.length;
  }

  /** `[DONE]`, an error in plain text, or junk: the client gets it as it came. */
  #takeUnparsed(type: string | null, data: string): EventFate {
    if (type === 'error') this.#error = errorMessage(data) ?? 'unnamed error';
    else this.#begun = true;
    if (data.trim() !== done) return 'relay';
    this.#closed = true;
    return 'close';
  }
}
