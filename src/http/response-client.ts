import type { ServerResponse } from 'node:http';
import type { Dialect } from '../dialects/dialect.ts';
import { Canceller } from '../domain/cancellation.ts';
import type { Timers } from '../domain/clock.ts';
import { codes, type Refusal } from '../domain/errors.ts';
import type { Client, ResponseHead, ResponseHeaders } from '../gateway/request.ts';
import { watchPace } from './pace.ts';
import { statusOf } from './status.ts';
import type { UnsentAnswers } from './unsent.ts';
import { writeChunk } from './write-chunk.ts';

/** Longer than any official client waits between its own retries. */
const uselessAfterSeconds = 60;

/** Whether to retry, in the terms that official clients follow. */
function retryHeaders({ code, retryAfterSeconds, isHopeless }: Refusal): ResponseHeaders {
  const useless =
    isHopeless === true ||
    !codes[code].retryable ||
    (retryAfterSeconds !== undefined && retryAfterSeconds > uselessAfterSeconds);
  return {
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    ...(useless ? { 'x-should-retry': 'false' } : {}),
  };
}

export interface WireError {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly body: Buffer;
}

/** A refusal as the dialect's official client expects it. */
export function wireError(refusal: Refusal, dialect: Dialect): WireError {
  const body = dialect.errorBody(refusal);
  const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
  return { status: statusOf[refusal.code], headers: { ...headers, ...retryHeaders(refusal) }, body };
}

export interface SendingOptions {
  /** A client that takes nothing for so long is as good as gone: upstream is held up for it, and money is held. */
  readonly stallMs: number;
  readonly timers: Timers;
  readonly unsent: UnsentAnswers;
}

/** What a stream that waits for its client holds beside the bytes in the response: what was read ahead of it. */
const readAheadBytes = 384 * 1024;

/** So much of an answer is handed over at once: what was handed over shows only as a whole that it was taken. */
const sliceBytes = 64 * 1024;

/** The pipeline's client over Node's response. */
export function responseClient(
  response: ServerResponse,
  dialect: Dialect,
  { stallMs, timers, unsent }: SendingOptions,
): Client {
  const gone = new Canceller();
  let hasWritten = false;
  response.on('close', () => {
    if (response.writableFinished) return;
    gone.abort('the connection was closed');
    // The client's half is closed; ours stays open until somebody closes it, and a drain waits for it.
    response.destroy();
  });
  // A connection that breaks while we write is a client that is gone, which `close` tells.
  response.on('error', () => undefined);

  /** Until the function that it returns is called, a client that takes nothing is broken off. */
  function expectProgress(bytes: number): () => void {
    unsent.hold(response, bytes);
    const forget = watchPace({
      movedBytes: () => (response.socket?.bytesWritten ?? 0) - response.writableLength,
      stallMs,
      timers,
      onStall: () => response.destroy(),
    });
    return () => {
      forget();
      unsent.letGo(response);
    };
  }

  async function drain(): Promise<void> {
    // The response itself knows only of what it wrote.
    const { socket } = response;
    if (gone.aborted || socket === null || !socket.writableNeedDrain) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const isGone = () => resolve();
    socket.once('drain', resolve);
    gone.addEventListener('abort', isGone, { once: true });
    await promise;
    socket.off('drain', resolve);
    gone.removeEventListener('abort', isGone);
  }

  async function end(bytes: Buffer): Promise<void> {
    if (gone.aborted) return;
    if (bytes.length <= sliceBytes) {
      response.end(bytes);
      // What the connection has taken at once has nobody to wait for.
      if (response.writableLength > 0) response.once('close', expectProgress(response.writableLength));
      return;
    }
    response.once('close', expectProgress(bytes.length + response.writableLength));
    let sent = 0;
    for (; bytes.length - sent > sliceBytes && !gone.aborted; sent += sliceBytes) {
      if (response.write(bytes.subarray(sent, sent + sliceBytes))) continue;
      await drain();
      // It takes what it is given: the rest begins to wait only now.
      if (!gone.aborted) unsent.hold(response, bytes.length - sent);
    }
    response.end(bytes.subarray(sent));
  }

  return {
    gone,
    start: (head: ResponseHead) => {
      if (head.kind === 'upstream') {
        response.writeHead(head.status, head.headers);
        return;
      }
      const { status, headers, body } = wireError(head.refusal, dialect);
      response.writeHead(status, { ...head.headers, ...headers });
      response.write(body);
    },
    write: (bytes) => {
      const isFirst = !hasWritten;
      hasWritten = true;
      // The head waits for the first bytes.
      return isFirst ? response.write(bytes) : writeChunk(response, bytes);
    },
    drained: async () => {
      if (gone.aborted || response.socket?.writableNeedDrain !== true) return;
      await drain().finally(expectProgress(response.writableLength + readAheadBytes));
    },
    end: (bytes) => void end(bytes ?? nothing),
    abandon: () => {
      response.destroy();
    },
  };
}

const nothing = Buffer.alloc(0);
