import type { IncomingHttpHeaders } from 'node:http';
import type { Directives } from './directives.ts';
import type { ApiError, Parsed, Wording } from './errors.ts';
import type { Prompt } from './prompt-tokens.ts';
import type { Draws } from './random.ts';
import type { Usage } from './usage.ts';

/** A request as it arrived. */
export interface Call {
  /** Without the query, percent-encoded as it came. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One wire format: what its requests say, and how an answer looks in it. */
export interface Format {
  readonly wording: Wording;
  /** What the answer is drawn from, with the seed: everything that says what is asked for. */
  drawnFrom(call: Call): Buffer;
  /** Understands a request as its provider does, or refuses it in the provider's words. */
  read(call: Call): Parsed<Asked>;
  contextExceeded(limit: number, promptTokens: number): ApiError;
}

/** A request that was understood. */
export interface Asked {
  /** The model's name with its directives. */
  readonly model: string;
  readonly prompt: Prompt;
  reply(given: Given): Reply;
}

export interface Given {
  /** The model's name without directives. */
  readonly model: string;
  readonly directives: Directives;
  readonly promptTokens: number;
  readonly draws: Draws;
}

/** All that will be sent to one request, before faults befall it. Nothing of it is made before it is asked for. */
export interface Reply {
  /** What it comes to, whatever the usage that is sent says; null where it is free. */
  readonly usage: Usage | null;
  /** Null where no stream was asked for. */
  readonly stream: StreamLayout | null;
  body(): string;
  /** Tokens of the text in the body. */
  readonly bodyTokens: number;
  /** What says, behind a status of 200, that the answer failed. */
  failedBody(): string;
}

export interface StreamLayout {
  readonly framing: Framing;
  events(): Iterable<AnswerEvent>;
  /** What takes the place of everything that would still have come, behind so many events. */
  failure(sent: number): Iterable<AnswerEvent>;
}

/** Server-sent events, or the elements of one JSON array. */
export type Framing = 'sse' | 'json_array';

/** One event of a streamed answer. */
export interface AnswerEvent {
  /** What stands behind `event: `; nothing does where this is absent. */
  readonly type?: string;
  /** What stands behind `data: `. */
  readonly data: string;
  /** Tokens of the text that is new in it. */
  readonly tokens: number;
  /** Whether a client takes the answer as complete when it sees this one. */
  readonly closes?: true;
}
