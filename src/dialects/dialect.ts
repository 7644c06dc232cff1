import type { DialectName } from '../catalog/catalog.ts';
import type { Refusal } from '../domain/errors.ts';
import type { Usage } from '../domain/usage.ts';
import type { Countable } from '../tokenizer/tokenizer.ts';

/**
 * A wire format: what a request of it asks for, how its answers are metered, how its errors look.
 * Pure: no I/O, no clock. A new dialect is one folder and one line in `app.ts`.
 */
export interface Dialect {
  readonly name: DialectName;
  /** Below the upstream's base URL, for instance "/chat/completions". */
  readonly upstreamPath: string;
  /** The headers that carry an upstream's secret. */
  authorization(credential: string): Readonly<Record<string, string>>;
  /** Reads what matters for admission; REQUEST_INVALID names the member that is wrong. */
  readRequest(body: Buffer): DialectRequest | Refusal;
  /** Meters a whole answer that isn't a stream. */
  readAnswer(body: Buffer, provider: string): AnswerReading;
  /** Meters a stream and says which of its bytes may go on. */
  followStream(options: StreamMeterOptions): StreamFollower;
  /** The body of an error answer: JSON in the dialect's own shape, with our code in it. */
  errorBody(refusal: Refusal): Buffer;
  /** An error as the last event of a stream that can't be continued. */
  errorEvent(refusal: Refusal): Buffer;
}

export interface DialectRequest {
  readonly kind: 'request';
  readonly model: string;
  readonly stream: boolean;
  /** An upper estimate, cheap for any length. */
  readonly estimatedInputTokens: number;
  /** What the client set as the maximum of one choice; null where it set none. */
  readonly maxOutputTokens: number | null;
  /** How many answers were asked for at once (`n`). */
  readonly choices: number;
  /** Whether the client itself asked for usage in the stream. */
  readonly asksUsage: boolean;
  /** The client's body, byte for byte but for the members that must differ for this upstream. */
  bodyFor(upstream: BodyChanges): Buffer;
  /** The prompt, for an exact count where upstream reports none. Computed when asked. */
  prompt(): Countable;
}

export interface BodyChanges {
  readonly model: string;
  readonly provider: string;
  /** Written into the body where the client set no maximum and admission had to set one. */
  readonly maxOutputTokens: number | null;
}

export interface AnswerReading {
  /** Upstream's own usage in disjoint classes; null where it sent none, or none that can be true. */
  readonly usage: Usage | null;
  readonly generated: Countable;
  readonly finishReason: string | null;
  /** What went wrong inside a successful answer; null where nothing did. */
  readonly error: string | null;
}

export interface StreamMeterOptions {
  readonly provider: string;
  /** Whether the chunk that carries only usage goes to the client. */
  readonly clientAsksUsage: boolean;
}

/** One server-sent event as it came, with the blank line that ends it. */
export interface SseEvent {
  readonly raw: Buffer;
  /** The value of the `event` field; null where there is none. */
  readonly type: string | null;
  /** The `data` lines joined; null for a comment or an event without data. */
  readonly data: string | null;
}

/**
 * relay: to the client at once; keep: never to the client (it didn't ask for this one);
 * close: the client takes the answer as complete when it sees this one, so it waits for the commit.
 */
export type EventFate = 'relay' | 'keep' | 'close';

/** Follows one stream, event by event. Reading it at any event gives what was used up to there. */
export interface StreamMeter {
  take(event: SseEvent): EventFate;
  reading(): StreamReading;
}

export interface StreamReading extends AnswerReading {
  /** Whether anything but comments and errors came. */
  readonly begun: boolean;
  /** Whether upstream reported usage in the way in which it does only at the end. */
  readonly usageIsFinal: boolean;
}

/**
 * Follows the bytes of one stream, however they are cut: says which may go on at once, and keeps what
 * would make the client take the answer as complete.
 */
export interface StreamFollower {
  /**
   * @returns what may go to the client now, in order
   * @throws Error when an event is larger than any honest provider's
   */
  push(chunk: Buffer): readonly Buffer[];
  /** Upstream's body is over: what waits for the commit, from the closing event on. */
  end(): readonly Buffer[];
  /** Whether the closing event was seen. */
  readonly closed: boolean;
  reading(): StreamReading;
}
