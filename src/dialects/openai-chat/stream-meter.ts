import type { EventFate, SseEvent, StreamMeter, StreamMeterOptions, StreamReading } from '../dialect.ts';
import { asArray, asObject, asText, type JsonObject, parseJson } from '../json.ts';
import { errorMessage } from './errors.ts';
import { GeneratedText } from './generated.ts';
import { type ProviderQuirks, quirksOf } from './quirks.ts';
import { usageFor } from './usage.ts';

/** The end of a stream, as a value of `data`. */
const done = '[DONE]';

/** The usage of a chunk. Groq repeats it under `x_groq`: the same counts, never to be added. */
function usageOf(chunk: JsonObject): JsonObject | null {
  return asObject(chunk.usage) ?? asObject(asObject(chunk.x_groq)?.usage);
}

export class ChatStreamMeter implements StreamMeter {
  readonly #quirks: ProviderQuirks;
  readonly #clientAsksUsage: boolean;
  readonly #generated = new GeneratedText();
  /** The last usage seen: providers that send several send them cumulative. */
  #usage: JsonObject | null = null;
  /** Whether text came after that usage, which then can't have counted it. */
  #usageIsStale = false;
  /** Whether a chunk came that carries nothing but usage, as OpenAI sends it behind the last choice. */
  #usageCameAlone = false;
  #finishReason: string | null = null;
  #closed = false;
  #error: string | null = null;
  #begun = false;

  constructor(options: StreamMeterOptions) {
    this.#quirks = quirksOf(options.provider);
    this.#clientAsksUsage = options.clientAsksUsage;
  }

  take(event: SseEvent): EventFate {
    if (event.data === null) return 'relay';
    const chunk = asObject(parseJson(event.data));
    if (chunk === null) return this.#takeUnparsed(event.type, event.data);
    const error = errorMessage(chunk.error) ?? (event.type === 'error' ? errorMessage(chunk) : null);
    if (error === null) this.#begun = true;
    else this.#error = error;
    const choices = asArray(chunk.choices);
    const hasText = choices !== null && this.#takeChoices(choices);
    const usage = usageOf(chunk);
    if (usage !== null) this.#usage = usage;
    if (usage !== null || hasText) this.#usageIsStale = usage === null;
    const isOnlyUsage = usage !== null && choices?.length === 0 && error === null;
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
      begun: this.#begun,
      usageIsFinal: this.#usageCameAlone && !this.#usageIsStale,
      usage: usageFor(usage, this.#quirks, this.#generated),
      generated: this.#generated.countable(),
      finishReason: this.#finishReason,
      error: this.#error,
    };
  }

  /** `[DONE]`, an error in plain text, or junk: the client gets it as it came. */
  #takeUnparsed(type: string | null, data: string): EventFate {
    if (type === 'error') this.#error = errorMessage(data) ?? 'unnamed error';
    else this.#begun = true;
    if (data.trim() !== done) return 'relay';
    this.#closed = true;
    return 'close';
  }

  #takeChoices(choices: readonly unknown[]): boolean {
    let hasText = false;
    for (const entry of choices) {
      const choice = asObject(entry);
      if (choice === null) continue;
      const index = choice.index ?? 0;
      // Perplexity sends the whole message so far beside each delta.
      const delta = asObject(choice.delta);
      if (delta !== null && this.#generated.add(index, delta)) hasText = true;
      if (index === 0) this.#finishReason = asText(choice.finish_reason) ?? this.#finishReason;
    }
    return hasText;
  }
}
