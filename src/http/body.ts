import type { Readable } from 'node:stream';
import type { Timers } from '../domain/clock.ts';
import { GatheredBytes } from '../domain/gathered-bytes.ts';
import { watchPace } from './pace.ts';

/** A whole body, or why it was not read to its end. */
export type ReadBody =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'too_slow' }
  /** Too much is held for others. */
  | { readonly kind: 'no_room' };

export interface BodyOptions {
  readonly maxBytes: number;
  /** What the client says that it sends; null where it doesn't say. */
  readonly declaredBytes: number | null;
  readonly stallMs: number;
  readonly timers: Timers;
  /** Whether so many more bytes may be held. */
  hold(bytes: number): boolean;
}

/**
 * What can't be taken any more is not waited for: the client is answered while it is still sending, and
 * what it sends meanwhile is thrown away.
 * @throws Error when the connection breaks before the body's end
 */
export function readBody(payload: Readable, options: BodyOptions): Promise<ReadBody> {
  const { maxBytes, declaredBytes, stallMs, timers, hold } = options;
  const { promise, resolve, reject } = Promise.withResolvers<ReadBody>();
  const gathered = new GatheredBytes(declaredBytes ?? maxBytes);
  const take = (chunk: Buffer) => {
    if (gathered.length + chunk.length > maxBytes) finish({ kind: 'too_large' });
    else if (!hold(chunk.length)) finish({ kind: 'no_room' });
    else gathered.add(chunk);
  };
  const end = () => finish({ kind: 'body', bytes: gathered.takeAll() });
  const forget = watchPace({
    movedBytes: () => gathered.length,
    stallMs,
    timers,
    onStall: () => finish({ kind: 'too_slow' }),
  });
  function finish(body: ReadBody): void {
    forget();
    payload.off('data', take).off('end', end);
    // The request outlives this while its rest comes in.
    gathered.takeAll();
    resolve(body);
  }
  payload.on('data', take).on('end', end);
  // Stays: a connection that breaks while its rest is thrown away is nobody's fault.
  payload.on('error', (error) => {
    forget();
    reject(error);
  });
  return promise;
}
