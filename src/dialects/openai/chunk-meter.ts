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
  /** On which depends what the format adds around a text, once there is one. */
  #frame: { readonly model: unknown } | null = null;
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
    const error = errorMessage(chunk.error) ?? (event.type === 'error' ? errorMessage(chunk) : null);
    if (error === null) this.#begun = true;
    else this.#error = error;
    const taken = takeChoices(chunk, this.#choices);
    const { count, hasContent, finishReason } = taken;
    this.#finishReason = finishReason ?? this.#finishReason;
    if (this.#name === null && chunk.id !== undefined) this.#name = answerNameOf(chunk);
    const usage = usageOf(chunk);
    const serviceTier = serviceTierOf(chunk, usage) ?? this.#serviceTier;
    const isPricedAnew = serviceTier !== this.#serviceTier || this.#choices.unitCount !== this.#unitCount;
    this.#serviceTier = serviceTier;
    this.#unitCount = this.#choices.unitCount;
    this.#generatedAtMost += isPricedAnew ? beyondAnyRoom : this.#growthOf(taken, chunk.model, event);
    if (usage !== null) this.#usage = usage;
    if (usage !== null || hasContent) this.#usageIsStale = usage === null;
    const isOnlyUsage = usage !== null && count === 0 && error === null;
    if (isOnlyUsage) this.#usageCameAlone = true;
    return isOnlyUsage && !this.#clientAsksUsage ? 'keep' : 'relay';
  }

  /**
   * Usage that text came after is still the best account of the input while the stream runs. Once the
   * answer has ended it is the wrong account of the output, and none is better.
   */
  reading(): StreamReading {
    const isWrong = this.#usageIsStale && (this.#closed || this.#finishReason !== null);
    const usage = isWrong ? null : this.#usage;
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

  #growthOf({ hasContent, textBytes }: TakenChoices, model: unknown, { raw }: SseEvent): number {
    if (textBytes === null) this.#isMixed = true;
    const isLikeBefore = this.#frame !== null && this.#frame.model === model;
    if (hasContent && !isLikeBefore) this.#frame = { model };
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
