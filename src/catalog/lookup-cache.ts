import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.ts';
import { entriesUpTo } from '../domain/entries-up-to.ts';
import { Fault } from '../domain/errors.ts';
import type { Soon } from '../domain/soon.ts';
import type { LookupGate } from './lookup-gate.ts';

export interface LookupCacheOptions<Name extends string, Value extends object> {
  /** Those of them that there are. */
  find(names: readonly Name[]): Soon<ReadonlyMap<Name, Value>>;
  /** How many are looked up together: beside the one that is asked for, those that will soon have to be. */
  readonly mostTogether: number;
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

interface Found<Value> extends Aged<Value> {
  /** How often it was looked up since somebody asked for it. */
  idleLookups: number;
}

/** The lookups that began between two invalidations. */
type Epoch<Name extends string, Value extends object> = Map<Name, Promise<Value | undefined>>;

/** Under a flood an answer may be so many times as old as otherwise, and no older: it may have been revoked. */
const staleFactor = 10;

/** Beyond this part of its age an answer that is in use is looked up anew together with others. */
const soonOldShare = 0.8;

/** What was looked up so often and asked for by nobody may rest. */
const mostIdleLookups = 2;

/**
 * Remembers answers of bounded age and number; those who ask for the same at once share one lookup. Where several
 * may be looked up together, one that is due takes along what else is in use and not young any more (ADR 32).
 */
export class LookupCache<Name extends string, Value extends object> {
  readonly #options: LookupCacheOptions<Name, Value>;
  #found: LRUCache<Name, Found<Value>>;
  /** Names of what may be taken along, with since when it is known, about in that order; some are there no more. */
  readonly #byAge = new Map<Name, number>();
  /** Names without a value, apart: a flood of them evicts nothing real. */
  #missing: LRUCache<Name, Aged<null>>;
  #underWay: Epoch<Name, Value> = new Map();

  constructor(options: LookupCacheOptions<Name, Value>) {
    this.#options = options;
    this.#found = new LRUCache(entriesUpTo(options.maxFound));
    this.#missing = new LRUCache(entriesUpTo(options.maxMissing));
  }

  /** At once where it is known. */
  get(name: Name): Soon<Value | undefined> {
    const nowMs = this.#options.clock.monotonic();
    const known = this.#found.get(name);
    if (known !== undefined) known.idleLookups = 0;
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
    // Replaced, and not cleared, which goes through all that they hold: 30 ms for 50,000.
    this.#found = new LRUCache(entriesUpTo(this.#options.maxFound));
    this.#missing = new LRUCache(entriesUpTo(this.#options.maxMissing));
    this.#byAge.clear();
  }

  #lookUp(name: Name): Promise<Value | undefined> {
    const epoch = this.#underWay;
    const lookup = this.#options.gate
      .run(() => this.#lookUpWithOthers(name, epoch))
      .finally(() => epoch.delete(name));
    epoch.set(name, lookup);
    return lookup;
  }

  /** Whoever asks for one of the others once it is too old, and this takes long or fails, looks it up alone. */
  async #lookUpWithOthers(name: Name, epoch: Epoch<Name, Value>): Promise<Value | undefined> {
    const { find, clock } = this.#options;
    // The answer is as old as the moment before it was asked for.
    const sinceMs = clock.monotonic();
    const names = [name, ...(epoch === this.#underWay ? this.#soonOld(name, sinceMs) : [])];
    const found = await find(names);
    if (epoch === this.#underWay) for (const each of names) this.#remember(each, found.get(each), sinceMs);
    return found.get(name);
  }

  /** What goes with a lookup of this name, and with no other one then. */
  #soonOld(name: Name, nowMs: number): readonly Name[] {
    const { maxAgeMs, mostTogether } = this.#options;
    const names: Name[] = [];
    for (const [other, sinceMs] of this.#byAge) {
      const isYoung = nowMs - sinceMs < soonOldShare * maxAgeMs;
      if (isYoung || names.length + 1 >= mostTogether) break;
      this.#byAge.delete(other);
      const isWanted = (this.#found.peek(other)?.idleLookups ?? mostIdleLookups) < mostIdleLookups;
      if (isWanted && other !== name && !this.#underWay.has(other)) names.push(other);
    }
    return names;
  }

  #remember(name: Name, value: Value | undefined, sinceMs: number): void {
    const known = this.#found.peek(name);
    const newestMs = known?.sinceMs ?? this.#missing.peek(name)?.sinceMs ?? sinceMs;
    // It was taken along, and looked up alone meanwhile.
    if (newestMs > sinceMs) return;
    if (value === undefined) {
      this.#found.delete(name);
      this.#missing.set(name, { value: null, sinceMs });
    } else {
      this.#missing.delete(name);
      this.#found.set(name, { value, sinceMs, idleLookups: (known?.idleLookups ?? 0) + 1 });
      if (this.#options.mostTogether === 1) return;
      this.#byAge.delete(name);
      this.#byAge.set(name, sinceMs);
    }
  }
}
