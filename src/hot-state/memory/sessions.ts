import type { Clock } from '../../domain/clock.ts';
import type { TransactionId } from '../../domain/ids.ts';
import { type SessionLock, sessionLockMs } from '../hot-state.ts';

/** Sessions of which a request runs. */
export class Sessions {
  readonly #locks = new Map<string, { readonly holder: TransactionId; readonly untilMs: number }>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  lock(lock: SessionLock): boolean {
    const nowMs = this.#clock.monotonic();
    // In the order of their last lock: what is over stands in front.
    for (const [name, { untilMs }] of this.#locks) {
      if (untilMs > nowMs) break;
      this.#locks.delete(name);
    }
    const name = nameOf(lock);
    const standing = this.#locks.get(name);
    if (standing !== undefined && standing.holder !== lock.holder) return false;
    this.#locks.delete(name);
    this.#locks.set(name, { holder: lock.holder, untilMs: nowMs + sessionLockMs });
    return true;
  }

  unlock(lock: SessionLock): void {
    const name = nameOf(lock);
    if (this.#locks.get(name)?.holder === lock.holder) this.#locks.delete(name);
  }
}

function nameOf({ tenantId, sessionId }: SessionLock): string {
  return JSON.stringify([tenantId, sessionId]);
}
