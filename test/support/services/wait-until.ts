import { setTimeout as sleep } from 'node:timers/promises';

export interface Awaited {
  /** What is waited for, as the error says it. */
  readonly what: string;
  /** A fault of it counts as "not yet". */
  readonly isSo: () => Promise<boolean>;
  readonly withinMs: number;
  readonly everyMs?: number;
  /** Asked between the looks: throws where it is no use to go on. */
  readonly giveUp?: () => void;
}

/** @throws Error where it did not come about in time, with the last fault as its cause */
export async function waitUntil({ what, isSo, withinMs, everyMs = 25, giveUp }: Awaited): Promise<void> {
  const deadline = performance.now() + withinMs;
  let cause: unknown;
  while (performance.now() < deadline) {
    giveUp?.();
    try {
      if (await isSo()) return;
    } catch (error) {
      cause = error;
    }
    await sleep(everyMs);
  }
  throw new Error(`${what}: not so within ${withinMs} ms`, { cause });
}
