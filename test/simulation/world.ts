import { setImmediate as loopTurnEnds } from 'node:timers/promises';
import type { EventLog } from './event-log.ts';
import { Chance } from './random.ts';

/** Something that happens at a time. */
interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly label: string;
  readonly run: () => void | Promise<void>;
  isCancelled: boolean;
}

/** What a run broke, and how that showed. */
export interface Violation {
  readonly invariant: string;
  readonly detail: string;
}

/**
 * Time and chance of one run. Events happen one at a time, in the order of their times; between two of them
 * everything that can go on without a new event does. So the whole run follows from its seed.
 */
export class World {
  readonly chance: Chance;
  readonly log: EventLog;
  /** True time, in milliseconds since the epoch. Every clock of the run differs from it by what it lags. */
  nowMs: number;
  steps = 0;
  violation: Violation | null = null;
  readonly #queue = new EventQueue();
  #scheduled = 0;

  constructor(seed: number, startsAtMs: number, log: EventLog) {
    this.chance = new Chance(seed);
    this.nowMs = startsAtMs;
    this.log = log;
  }

  /** Has something happen `delayMs` from now; the function that it returns forgets it. */
  after(delayMs: number, label: string, run: () => void | Promise<void>): () => void {
    const atMs = this.nowMs + Math.max(0, delayMs);
    const event: Event = { atMs, order: this.#scheduled++, label, run, isCancelled: false };
    this.#queue.push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  /** Says that an invariant is broken: the first one ends the run, wherever it is seen. */
  violated(invariant: string, detail: string): void {
    this.log.add(this.nowMs, `VIOLATED ${invariant}: ${detail}`);
    this.violation ??= { invariant, detail };
  }

  note(text: string): void {
    this.log.add(this.nowMs, text);
  }

  /** Lets the next event happen, and what follows from it; false where there is none until `untilMs`. */
  async step(untilMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    const event = this.#queue.next(untilMs);
    if (event === null) return false;
    this.nowMs = event.atMs;
    this.steps++;
    this.log.add(this.nowMs, event.label);
    await event.run();
    await quiescence();
    return true;
  }
}

/**
 * Resolves when no promise has anything left to do: nobody of the simulated world has timers of its own. What the ledger
 * writes together waits until a turn of the event loop is over, which may begin in the first one.
 */
async function quiescence(): Promise<void> {
  await loopTurnEnds();
  await loopTurnEnds();
}

/** A heap: the soonest first, and of those at one time, the one that was scheduled first. */
class EventQueue {
  readonly #heap: Event[] = [];

  push(event: Event): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[index] = heap[parent] as Event;
      index = parent;
    }
    heap[index] = event;
  }

  next(untilMs: number): Event | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined) return null;
      if (!first.isCancelled && first.atMs > untilMs) return null;
      this.#removeFirst();
      if (!first.isCancelled) return first;
    }
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
