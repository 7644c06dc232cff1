import type { Clock, Timers } from '../../src/domain/clock.ts';
import { Troubles } from './troubles.ts';
import type { World } from './world.ts';

/**
 * One life of one gateway process, as the world sees it: what it does to others goes through `acts`, and what
 * others do to it through `deliver`. Once it is dead neither happens any more.
 */
export class Process {
  readonly name: string;
  readonly #world: World;
  #diedAtMs: number | null = null;
  readonly troubles = new Troubles();
  /** Frozen until then: what reaches it waits. */
  #pausedUntilMs = 0;
  /** So many effects it has left before it dies in the middle of what it does; null: it doesn't. */
  #effectsLeft: number | null = null;
  /** What its machine's wall clock is wrong by. */
  lagMs = 0;
  readonly #bootedAtMs: number;
  readonly #onDeath: (() => void)[] = [];

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
    this.#bootedAtMs = world.nowMs - 1_000;
  }

  get isAlive(): boolean {
    return this.#diedAtMs === null;
  }

  /** Null: it lives. */
  get diedAtMs(): number | null {
    return this.#diedAtMs;
  }

  readonly clock: Clock & Timers = {
    now: () => Math.floor(this.#world.nowMs + this.lagMs),
    monotonic: () => this.#world.nowMs - this.#bootedAtMs,
    after: (ms, callback) => this.deliver(ms, 'timer', callback),
  };

  onDeath(callback: () => void): void {
    this.#onDeath.push(callback);
  }

  /** Whether an effect leaves the process: the last one may be what it dies before. */
  acts(): boolean {
    if (this.#effectsLeft !== null && this.#effectsLeft-- === 0) this.die('in the middle');
    return this.isAlive;
  }

  /** Has something reach the process, `delayMs` from now at the soonest. */
  deliver(delayMs: number, label: string, run: () => void): () => void {
    let forget = () => {};
    const arrive = (afterMs: number) => {
      forget = this.#world.after(afterMs, `${this.name} ${label}`, () => {
        if (!this.isAlive) return;
        const pausedMs = this.#pausedUntilMs - this.#world.nowMs;
        if (pausedMs > 0) arrive(pausedMs);
        else run();
      });
    };
    arrive(delayMs);
    return () => forget();
  }

  pause(ms: number): void {
    this.troubles.add(this.#world.nowMs, this.#world.nowMs + ms);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#world.nowMs + ms);
  }

  /** Dies before its effect number `effects` from now: between two of them, in the middle of an event. */
  dieAfter(effects: number): void {
    this.#effectsLeft = effects;
  }

  die(when: string): void {
    if (!this.isAlive) return;
    this.#diedAtMs = this.#world.nowMs;
    this.#world.note(`${this.name} dies ${when}`);
    for (const callback of this.#onDeath) callback();
  }
}
