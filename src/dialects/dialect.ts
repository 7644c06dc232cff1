import type { DialectName } from '../catalog/catalog.ts';
import type { Refusal } from '../domain/errors.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { Quirks } from '../domain/quirks.ts';
import type { ModelUsage, Usage } from '../domain/usage.ts';
import type { Countable } from '../tokenizer/tokenizer.ts';

/**
 * A wire format: what a request of it asks for, how its answers are metered, how its errors look.
 * Pure: no I/O, no clock. A new dialect is one folder and one line in `dialects.ts`.
 */
export interface Dialect {
  readonly name: DialectName;
  /** Where clients find it on the data plane, for instance "/v1/messages"; a `*` at the end is any rest of a path. */
  readonly paths: readonly string[];
  /** The headers that carry an upstream's secret. */
  authorization(credential: string): Readonly<Record<string, string>>;
  /** Reads what matters for admission; REQUEST_INVALID names the member that is wrong. */
  readRequest(call: ClientCall): DialectRequest | Refusal;
  /** Meters a whole answer that isn't a stream. */
  readAnswer(body: Buffer, context: AnswerContext): AnswerReading;
  /** Meters a stream and says which of its bytes may go on. */
  followStream(context: StreamContext): StreamFollower;
  /** The body of an error answer: JSON in the dialect's own shape, with our code in it. */
  errorBody(refusal: Refusal): Buffer;
}

/** A request as the client sent it. */
export interface ClientCall {
  /** As the client sent it, without the query, percent-decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
}

export interface DialectRequest {
  readonly kind: 'request';
  readonly model: string;
  /** Others that the request lets the provider use: the API key has to permit them, and the hold to cover them. */
  readonly otherModels?: readonly string[];
  readonly stream: boolean;
  /** Whether the provider does it for nothing (counting tokens): it is passed on without hold or ledger row. */
  readonly isFree: boolean;
  /** An upper estimate of what the request itself shows the model, cheap for any length. */
  readonly estimatedInputTokens: number;
  /** What the provider remembers and adds to the prompt: an answer or a conversation by its id; null where nothing. */
  readonly continues: string | null;
  /** What the client set as the maximum of one choice; null where it set none; 0 where nothing is generated. */
  readonly maxOutputTokens: number | null;
  /** How many answers were asked for at once (`n`). */
  readonly choices: number;
  /** Units beside tokens that it may come to at most, by class, for the hold: `{web_search: 5}`. */
  readonly units: Usage;
  /** The service tier that the client asked for, as the wire format names it; null where it named none. */
  readonly serviceTier: string | null;
  /** Whether the client itself asked for usage in the stream. */
  readonly asksUsage: boolean;
  /** A member that no provider of this format is known to take; null where there is none. */
  readonly unknownMember: string | null;
  /** Whether an answer of this content type (lower case, empty where there is none) comes as a stream. */
  isStreamed(contentType: string): boolean;
  /** Where the request goes below the upstream's base URL, and with which body. */
  callFor(upstream: UpstreamChanges): UpstreamRequest;
  /** The prompt, for an exact count where upstream reports none. Computed when asked. */
  prompt(): Countable;
}

export interface UpstreamChanges {
  readonly model: string;
  readonly quirks: Quirks;
  /** Written into the body where the client set no maximum and admission had to set one. */
  readonly maxOutputTokens: number | null;
}

export interface UpstreamRequest {
  /** Path and query, for instance "/chat/completions"; never with a secret of the client. */
  readonly path: string;
  /** The client's body, byte for byte but for the members that must differ for this upstream. */
  readonly body: Buffer;
}

export interface AnswerContext {
  readonly quirks: Quirks;
  readonly request: DialectRequest;
}

export interface AnswerReading {
  /** Upstream's own usage of the model asked for, in disjoint classes; null where it sent none, or none that can be true. */
  readonly usage: Usage | null;
  /** Units beside tokens that the answer itself shows: for where there is no usage to have them. */
  readonly units: Usage;
  /** What other models used for this answer; nearly always empty. */
  readonly otherModels: readonly ModelUsage[];
  readonly generated: Countable;
  readonly finishReason: string | null;
  /** What went wrong inside a successful answer; null where nothing did. */
  readonly error: string | null;
  /** The service tier that served it, as upstream says; null where it doesn't. */
  readonly serviceTier: string | null;
  /** What upstream says that it charges us; null where it doesn't. */
  readonly statedCost: NanoUsd | null;
  /** Upstream's usage object as it came, for the record; null where there is none. */
  readonly reported: Readonly<Record<string, unknown>> | null;
  /** The id under which the provider remembers this answer for a later request; null where it doesn't. */
  readonly answerId: string | null;
  /** What upstream calls this answer; null where it doesn't say. */
  readonly responseId: string | null;
  /** Upstream's name of what answered; null where it doesn't say. */
  readonly responseModel: string | null;
}

export interface StreamContext extends AnswerContext {
  /** The content type of upstream's answer, lower case; empty where it has none. */
  readonly contentType: string;
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
  /** As a follower tells it; without it, an event counts as all of its bytes. */
  readonly generatedAtMost?: number;
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
  /**
   * Grows at least by the tokens that each event adds to what was generated, told without a reading. No token is
   * less than a byte.
   */
  readonly generatedAtMost: number;
  reading(): StreamReading;
  /** What tells the client, behind the bytes that it has, that the stream can't be continued. */
  errorEnd(refusal: Refusal): Buffer;
}

/** What a reading has where upstream says nothing. */
export const nothingSaid: Omit<AnswerReading, 'generated'> = {
  usage: null,
  units: {},
  otherModels: [],
  finishReason: null,
  error: null,
  serviceTier: null,
  statedCost: null,
  reported: null,
  answerId: null,
  responseId: null,
  responseModel: null,
};
