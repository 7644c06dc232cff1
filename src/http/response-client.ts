import type { ServerResponse } from 'node:http';
import type { Dialect } from '../dialects/dialect.ts';
import { codes, type Refusal } from '../domain/errors.ts';
import type { Client, ResponseHead, ResponseHeaders } from '../gateway/request.ts';
import { statusOf } from './status.ts';

/** A client that reads nothing for so long is as good as gone: upstream is held up for it, and money is held. */
const clientStallMs = 120_000;

/** Longer than any official client waits between its own retries. */
const uselessAfterSeconds = 60;

/** Breaks off a response of which the client has taken nothing for too long. */
function watchProgress(response: ServerResponse): NodeJS.Timeout {
  const taken = () => (response.socket?.bytesWritten ?? 0) - response.writableLength;
  let before = taken();
  return setInterval(() => {
    const now = taken();
    if (now === before) response.destroy();
    before = now;
  }, clientStallMs);
}

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

/** The pipeline's client over Node's response. */
export function responseClient(response: ServerResponse, dialect: Dialect): Client {
  const gone = new AbortController();
  response.on('close', () => {
    if (response.writableFinished) return;
    gone.abort();
    // The client's half is closed; ours stays open until somebody closes it, and a drain waits for it.
    response.destroy();
  });
  // A connection that breaks while we write is a client that is gone, which `close` tells.
  response.on('error', () => undefined);

  return {
    gone: gone.signal,
    start: (head: ResponseHead) => {
      if (head.kind === 'upstream') {
        response.writeHead(head.status, head.headers);
        return;
      }
      const { status, headers, body } = wireError(head.refusal, dialect);
      response.writeHead(status, { ...head.headers, ...headers });
      response.write(body);
    },
    write: (bytes) => response.write(bytes),
    drained: () => {
      if (gone.signal.aborted || !response.writableNeedDrain) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      const watch = watchProgress(response);
      response.once('drain', resolve);
      promise.finally(() => clearInterval(watch));
      gone.signal.addEventListener('abort', () => resolve(), { once: true });
      return promise;
    },
    end: (bytes) => {
      if (bytes === undefined || bytes.length === 0) response.end();
      else response.end(bytes);
    },
    abandon: () => {
      response.destroy();
    },
  };
}
