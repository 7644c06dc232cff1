import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { UnsentAnswers } from './unsent.ts';

/** A time that a test lets pass, with at most one timer in it. */
function manualClock() {
  let nowMs = 0;
  let due: { readonly atMs: number; readonly callback: () => void } | null = null;
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    after: (ms: number, callback: () => void) => {
      due = { atMs: nowMs + ms, callback };
      return () => undefined;
    },
    pass: (ms: number) => {
      for (const untilMs = nowMs + ms; ; ) {
        if (due === null || due.atMs > untilMs) {
          nowMs = untilMs;
          return;
        }
        const { atMs, callback } = due;
        nowMs = atMs;
        due = null;
        callback();
      }
    },
  };
}

function waiting() {
  const clock = manualClock();
  const unsent = new UnsentAnswers(100, clock);
  const broken: string[] = [];
  const responses = new Map<string, ServerResponse>();
  const of = (name: string) => {
    const known = responses.get(name) ?? ({ destroy: () => broken.push(name) } as unknown as ServerResponse);
    responses.set(name, known);
    return known;
  };
  return { clock, unsent, broken, of };
}

it('breaks off who has waited longest, until the rest is little enough', () => {
  const { clock, unsent, broken, of } = waiting();
  for (const name of ['first', 'second', 'third', 'fourth']) unsent.hold(of(name), 40);
  clock.pass(10_000);
  expect(broken).toEqual(['first', 'second']);
});

it('breaks off nobody who has waited for a moment only, or where there is room', () => {
  const { clock, unsent, broken, of } = waiting();
  unsent.hold(of('patient'), 100);
  clock.pass(60_000);
  for (let count = 0; count < 20; count++) {
    unsent.hold(of('lively'), 90);
    clock.pass(500);
    unsent.letGo(of('lively'));
  }
  expect(broken).toEqual(['patient']);
});

it('does not count who has taken it', () => {
  const { clock, unsent, broken, of } = waiting();
  for (let count = 0; count < 10; count++) {
    unsent.hold(of('reader'), 60);
    unsent.hold(of('reader'), 60);
    unsent.letGo(of('reader'));
    unsent.letGo(of('reader'));
  }
  unsent.hold(of('other'), 100);
  clock.pass(60_000);
  expect(broken).toEqual([]);
});
