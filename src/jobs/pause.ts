import type { Timers } from '../domain/clock.ts';

/** Resolves when so much time has passed, or at once when the signal says to end. */
export async function pause(timers: Timers, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  const forget = timers.after(ms, end);
  signal.addEventListener('abort', end);
  await promise;
  signal.removeEventListener('abort', end);
  forget();
}
