import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { LayoutFault } from './directives.ts';
import type { Packet } from './faults.ts';
import { pour } from './stream.ts';

/** A line that takes everything at once, and notes what it was asked to do. */
function lineOf() {
  const sleeps: number[] = [];
  return {
    gone: false,
    sent: 0,
    turns: 0,
    sleeps,
    async send() {
      this.sent += 1;
    },
    async sleepUntil(time: number) {
      sleeps.push(time);
    },
    async turn() {
      this.turns += 1;
      await nextTurn();
    },
  };
}

function directivesOf(speed: number, ...layout: LayoutFault[]) {
  return { tokens_per_second: speed, fault: { ending: null, usage: null, layout: new Set(layout) } };
}

function* packets(count: number): Generator<Packet> {
  for (let at = 0; at < count; at++) yield { bytes: 'x', events: 1, tokens: 2 };
}

describe('pouring', () => {
  test.each([0, 1_000_000])(
    'ends when the client leaves, long before the packets do, at %i tokens a second',
    async (speed) => {
      const line = lineOf();
      setImmediate(() => {
        line.gone = true;
      });
      await pour(line, packets(1_000_000), directivesOf(speed));
      expect(line.sent).toBeGreaterThan(0);
      expect(line.sent).toBeLessThan(1_000_000);
    },
  );

  test('gives others a turn now and then, and after each packet where bytes are to arrive apart', async () => {
    const line = lineOf();
    await pour(line, packets(320), directivesOf(0));
    expect(line).toMatchObject({ sent: 320, turns: 10 });
    const apart = lineOf();
    await pour(apart, packets(320), directivesOf(0, 'split_bytes'));
    expect(apart).toMatchObject({ sent: 320, turns: 320 });
  });

  test('sends each packet when the tokens before it are due', async () => {
    const line = lineOf();
    await pour(line, packets(4), directivesOf(10));
    const [start = 0] = line.sleeps;
    expect(line.sleeps.map((time) => Math.round(time - start))).toEqual([0, 200, 400, 600]);
  });
});
