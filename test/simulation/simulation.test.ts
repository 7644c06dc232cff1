import { afterAll, beforeAll, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import { simulate } from './simulation.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open();
});
afterAll(() => engine.close());

it('holds every invariant in 40 runs of 500 steps', { timeout: 300_000 }, async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { violation, lastLines } = await simulate({ engine, seed, steps: 500 });
    expect(violation, `seed ${seed}:\n${lastLines.join('\n')}`).toBeNull();
  }
});

it('replays a seed event for event', { timeout: 60_000 }, async () => {
  for (const seed of [3, 1_000_003]) {
    const first = await simulate({ engine, seed, steps: 500 });
    await simulate({ engine, seed: seed + 1, steps: 100 });
    const again = await simulate({ engine, seed, steps: 500 });
    expect(again.hash).toBe(first.hash);
    expect(again.figures).toEqual(first.figures);
  }
});
