import { expect, it } from 'vitest';
import type { Timers } from '../domain/clock.ts';
import { watchPace } from './pace.ts';

/** A time that a test lets pass. */
class ManualTimers implements Timers {
  #due: { readonly atMs: number; readonly callback: () => void }[] = [];
  #nowMs = 0;

  after(ms: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, callback };
    this.#due.push(timer);
    return () => {
      this.#due = this.#due.filter((other) => other !== timer);
    };
  }

  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const [next] = this.#due.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#nowMs = next.atMs;
      this.#due = this.#due.filter((timer) => timer !== next);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  get waiting(): number {
    return this.#due.length;
  }
}

function watched(stallMs: number) {
  const timers = new ManualTimers();
  const state = { movedBytes: 0, stalls: 0 };
  const forget = watchPace({
    movedBytes: () => state.movedBytes,
    stallMs,
    timers,
    onStall: () => state.stalls++,
  });
  return { timers, state, forget };
}

it('what stands still for the whole time is a stall, told once', () => {
  const { timers, state } = watched(4_000);
  timers.pass(3_999);
  expect(state.stalls).toBe(0);
  timers.pass(10_000);
  expect(state.stalls).toBe(1);
  expect(timers.waiting).toBe(0);
});

it('what stood still and goes on in time is none', () => {
  const { timers, state } = watched(4_000);
  for (let count = 0; count < 50; count++) {
    timers.pass(3_000);
    state.movedBytes += 100_000;
  }
  expect(state.stalls).toBe(0);
});

it('what moves by a byte now and then is one, soon after the time in which nothing need move', () => {
  const { timers, state } = watched(4_000);
  for (let count = 0; count < 60 && state.stalls === 0; count++) {
    timers.pass(100);
    state.movedBytes += 1;
  }
  expect(state.stalls).toBe(1);
});

it('is forgotten when the watch ends', () => {
  const { timers, state, forget } = watched(4_000);
  timers.pass(2_000);
  forget();
  timers.pass(100_000);
  expect(state.stalls).toBe(0);
  expect(timers.waiting).toBe(0);
});
