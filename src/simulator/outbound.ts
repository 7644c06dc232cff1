import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ApiError, Wording } from './errors.ts';
import type { Packet } from './faults.ts';
import type { OpenRequest, Outcome, RecordingLog } from './request-log.ts';

/**
 * The way to one client. It counts what leaves, and each of its waits ends at once when the client
 * has left, so that nobody goes on generating for nobody.
 */
export class Outbound {
  readonly request: OpenRequest;
  readonly #response: ServerResponse;
  #gone = false;
  #wake: (() => void) | undefined;
  #outcome: Outcome = 'completed';

  constructor(response: ServerResponse, request: OpenRequest, log: RecordingLog) {
    this.request = request;
    this.#response = response;
    // A date would make the same request's bytes differ.
    response.sendDate = false;
    response.once('close', () => {
      this.#gone = true;
      // Broken means that the simulator closed the connection: an unfinished response is then no sign of the client's leaving.
      const isOurs = response.writableFinished || this.#outcome === 'broken';
      log.close(request, isOurs ? this.#outcome : 'aborted');
      this.#wake?.();
    });
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** @param headers without a content-length for what is sent in packets */
  begin(status: number, headers: Readonly<Record<string, string | number>>): void {
    if (this.#gone) return;
    this.request.status = status;
    this.#response.writeHead(status, headers);
  }

  /** Sends one packet, and waits for as long as the connection takes no more. */
  async send({ bytes, events, tokens }: Packet): Promise<void> {
    if (this.#gone) return;
    this.request.bytesSent += typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
    this.request.eventsSent += events;
    this.request.tokensSent += tokens;
    if (this.#response.write(bytes)) return;
    await this.#wait((wake) => {
      this.#response.once('drain', wake);
      return () => this.#response.off('drain', wake);
    });
  }

  finish(): void {
    if (!this.#gone) this.#response.end();
  }

  /** Sends a whole answer of known length in one write. */
  respond(
    status: number,
    headers: Readonly<Record<string, string>>,
    body: string | Buffer,
    tokens = 0,
  ): void {
    if (this.#gone) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.request.status = status;
    this.request.bytesSent += bytes.length;
    this.request.tokensSent += tokens;
    this.#response.writeHead(status, { ...headers, 'content-length': bytes.length });
    this.#response.end(bytes);
  }

  refuse(error: ApiError, wording: Wording, requestId: string): void {
    this.#outcome = 'refused';
    const headers = { ...jsonType, ...wording.headers(requestId), ...error.headers };
    this.respond(error.status, headers, wording.body(error, requestId));
  }

  /** The answer will be wrong because it was asked to be. */
  breaks(): void {
    this.#outcome = 'broken';
  }

  /** Sends the headers if no packet took them along, and then nothing more: only the client ends this. */
  stall(): void {
    if (!this.#gone) this.#response.flushHeaders();
  }

  /** Closes the connection once everything written so far is sent, in the midst of the answer. */
  disconnect(): void {
    this.breaks();
    if (this.request.status !== null) this.#response.flushHeaders();
    this.#response.socket?.destroySoon();
  }

  /** @param time by performance.now() */
  async sleepUntil(time: number): Promise<void> {
    const ms = time - performance.now();
    if (ms <= 0) return;
    await this.#wait((wake) => {
      const timer = setTimeout(wake, ms);
      return () => clearTimeout(timer);
    });
  }

  /** Lets the process see what else has happened, a client's leaving for one. */
  async turn(): Promise<void> {
    await nextTurn();
  }

  /** @param arm starts what will wake, and returns how to stop it */
  async #wait(arm: (wake: () => void) => () => void): Promise<void> {
    if (this.#gone) return;
    await new Promise<void>((resolve) => {
      const disarm = arm(() => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        disarm();
        resolve();
      };
    });
  }
}

export const jsonType = { 'content-type': 'application/json' };
