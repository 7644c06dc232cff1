import type { EventFate, SseEvent, StreamContext, StreamMeter, StreamReading } from '../dialect.ts';
import { asObject, asText, type JsonObject, parseJson } from '../json.ts';
import { errorMessage } from './errors.ts';
import { GeneratedText } from './generated.ts';
import { isRefusedUnbilled, type Message, readMessage } from './message.ts';
import { overlay } from './usage.ts';

/** What a stream's meter has to know: the rest of the context changes nothing. */
export type MessageStreamContext = Pick<StreamContext, 'request'>;

export class MessageStreamMeter implements StreamMeter {
  readonly #context: MessageStreamContext;
  readonly #generated = new GeneratedText();
  #id: string | null = null;
  #model: string | null = null;
  #stopReason: string | null = null;
  /** Message_start's usage with each message_delta's over it. */
  #reported: JsonObject | null = null;
  /** Whether a message_delta brought counters, and nothing was generated after it. */
  #usageIsFinal = false;
  #begun = false;
  #closed = false;
  #error: string | null = null;

  constructor(context: MessageStreamContext) {
    this.#context = context;
  }

  take({ type, data }: SseEvent): EventFate {
    if (data === null) return 'relay';
    const event = asObject(parseJson(data));
    // The official clients take an event by the type inside its data, and an error by the event's own.
    if (type === 'error' || event?.type === 'error') {
      this.#error = errorMessage(event?.error ?? event ?? data);
      return 'relay';
    }
    if (event?.type === 'ping') return 'relay';
    this.#begun = true;
    return event === null ? 'relay' : this.#takeEvent(event);
  }

  reading(): StreamReading {
    const message: Message = {
      id: this.#id,
      model: this.#model,
      generated: this.#generated,
      stopReason: this.#stopReason,
      reported: this.#isMiscounted ? null : this.#reported,
      usageIsFinal: this.#usageIsFinal,
      error: this.#error,
    };
    return {
      ...readMessage(message, this.#context),
      reported: this.#reported,
      // Nothing is charged for what was refused unbilled, as if it had never begun.
      begun: this.#begun && !isRefusedUnbilled(message),
      usageIsFinal: this.#usageIsFinal,
    };
  }

  /**
   * While a stream runs, and where it broke off, message_start is the exact account of the input. Of an
   * answer that came to its end without another one it is the wrong account of the output.
   */
  get #isMiscounted(): boolean {
    const hasEnded = this.#closed || this.#stopReason !== null;
    return hasEnded && !this.#usageIsFinal && !this.#generated.isEmpty;
  }

  #takeEvent(event: JsonObject): EventFate {
    switch (event.type) {
      case 'message_start':
        this.#takeStart(asObject(event.message) ?? {});
        break;
      case 'content_block_start':
        this.#usageIsFinal = false;
        this.#generated.addBlock(event.index, asObject(event.content_block) ?? {});
        break;
      case 'content_block_delta':
        this.#usageIsFinal = false;
        this.#generated.addDelta(event.index, asObject(event.delta) ?? {});
        break;
      case 'message_delta':
        this.#takeDelta(event);
        break;
      case 'message_stop':
        this.#closed = true;
        return 'close';
    }
    return 'relay';
  }

  #takeStart({ id, model, usage }: JsonObject): void {
    this.#id = asText(id);
    this.#model = asText(model);
    this.#stopReason = null;
    this.#takeUsage(usage, false);
  }

  #takeDelta({ delta, usage }: JsonObject): void {
    this.#stopReason = asText(asObject(delta)?.stop_reason) ?? this.#stopReason;
    this.#takeUsage(usage, true);
  }

  #takeUsage(usage: unknown, isFinal: boolean): void {
    const counters = asObject(usage);
    if (counters === null) return;
    this.#reported = overlay(this.#reported, counters);
    this.#usageIsFinal = isFinal && counters.output_tokens !== undefined;
  }
}
