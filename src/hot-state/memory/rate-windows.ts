import type { ApiKeyId } from '../../domain/ids.ts';
import { type Bucket, RollingWindow } from '../../domain/rolling-window.ts';

export type Measure = 'requests' | 'tokens';

/** Whose minute: the tenant's, or that of one of its API keys. */
export type Scope = ApiKeyId | null;

/** Idle ones are looked for when there are twice as many as were left the last time, and so many at least. */
const fewest = 64;

/** The rolling minutes of a tenant and its API keys. One is kept only while something counts in it. */
export class RateWindows {
  readonly #windows = new Map<string, RollingWindow>();
  #sweepAt = fewest;

  /** For looking at. One in which nothing was counted is empty. */
  look(measure: Measure, scope: Scope): RollingWindow {
    return this.#windows.get(nameOf(measure, scope)) ?? new RollingWindow();
  }

  count(measure: Measure, scope: Scope, nowMs: number, amount: number): Bucket {
    const name = nameOf(measure, scope);
    let window = this.#windows.get(name);
    if (window === undefined) {
      this.#forgetIdle(nowMs);
      window = new RollingWindow();
      this.#windows.set(name, window);
    }
    return window.add(nowMs, amount);
  }

  correct(measure: Measure, scope: Scope, nowMs: number, bucket: Bucket, change: number): void {
    this.#windows.get(nameOf(measure, scope))?.correct(nowMs, bucket, change);
  }

  /** Whether nothing counts any more. */
  isOverAt(nowMs: number): boolean {
    return [...this.#windows.values()].every((window) => window.isOverAt(nowMs));
  }

  #forgetIdle(nowMs: number): void {
    if (this.#windows.size < this.#sweepAt) return;
    for (const [name, window] of this.#windows) if (window.isOverAt(nowMs)) this.#windows.delete(name);
    this.#sweepAt = Math.max(fewest, 2 * this.#windows.size);
  }
}

function nameOf(measure: Measure, scope: Scope): string {
  return scope === null ? measure : `${measure} ${scope}`;
}
