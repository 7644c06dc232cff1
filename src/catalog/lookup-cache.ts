import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { Soon } from '../domain/soon.ts';
import type { LookupGate } from './lookup-gate.ts';

export interface LookupCacheOptions<Name extends string, Value extends object> {
  find(name: Name): Soon<Value | undefined>;
  readonly gate: LookupGate;
  readonly clock: Clock;
  /** How old an answer may be. */
  readonly maxAgeMs: number;
  readonly maxFound: number;
  /** How old the answer "there is none" may be. */
  readonly maxAgeMissingMs: number;
  readonly maxMissing: number;
}

interface Aged<Value> {
  readonly value: Value;
  readonly sinceMs: number;
}

/** The lookups that began between two invalidations. */
type Epoch<Name extends string, Value extends object> = Map<Name, Promise<Value | undefined>>;

/** Under a flood an answer may be so many times as old as otherwise, and no older: it may have been revoked. */
const staleFactor = 10;

/** Remembers answers of bounded age and number; those who ask for the same at once share one lookup. */
export class LookupCache<Name extends string, Value extends object> {
  readonly #options: LookupCacheOptions<Name, Value>;
  readonly #found: LRUCache<Name, Aged<Value>>;
  /** Names without a value, apart: a flood of them evicts nothing real. */
  readonly #missing: LRUCache<Name, Aged<null>>;
  #underWay: Epoch<Name, Value> = new Map();

  constructor(options: LookupCacheOptions<Name, Value>) {
    this.#options = options;
    this.#found = new LRUCache({ max: options.maxFound });
    this.#missing = new LRUCache({ max: options.maxMissing });
  }

  /** At once where it is known. */
  get(name: Name): Soon<Value | undefined> {
    const nowMs = this.#options.clock.monotonic();
    const known = this.#found.get(name);
    if (known !== undefined && nowMs - known.sinceMs < this.#options.maxAgeMs) return known.value;
    const absent = this.#missing.get(name);
    if (absent !== undefined && nowMs - absent.sinceMs < this.#options.maxAgeMissingMs) return undefined;
    const lookup = this.#underWay.get(name) ?? this.#lookUp(name);
    if (known === undefined || nowMs - known.sinceMs > staleFactor * this.#options.maxAgeMs) return lookup;
    // A flood of unknown names must not lock out whom we know: what we have serves until it is over.
    return lookup.catch((error) => {
      if (error instanceof Fault && error.code === 'OVERLOADED') return known.value;
      throw error;
    });
  }

  /**
   * Forgets everything. A lookup that is under way still answers those who wait for it, but its answer, of the epoch
   * that ended, isn't remembered.
   */
  clear(): void {
    this.#underWay = new Map();
    // Not replaced: making room for as many as they may hold takes milliseconds.
    this.#found.clear();
    this.#missing.clear();
  }

  #lookUp(name: Name): Promise<Value | undefined> {
    const epoch = this.#underWay;
    const lookup = this.#options.gate
      .run(async () => {
        // The answer is as old as the moment before it was asked for.
        const sinceMs = this.#options.clock.monotonic();
        const value = await this.#options.find(name);
        this.#remember(epoch, name, value, sinceMs);
        return value;
      })
      .finally(() => epoch.delete(name));
    epoch.set(name, lookup);
    return lookup;
  }

  #remember(epoch: Epoch<Name, Value>, name: Name, value: Value | undefined, sinceMs: number): void {
    if (epoch !== this.#underWay) return;
    if (value === undefined) {
      this.#found.delete(name);
      this.#missing.set(name, { value: null, sinceMs });
    } else {
      this.#missing.delete(name);
      this.#found.set(name, { value, sinceMs });
    }
  }
}
