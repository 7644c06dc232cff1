import { afterAll, beforeAll, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import { simulate } from './simulation.ts';
import { switches } from './switches.ts';

const mostRuns = 200;

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open();
});
afterAll(() => engine.close());

it.for(switches.map((one) => [one.measure, one] as const))(
  'without its %s a simulation shows what it guards broken',
  { timeout: 600_000 },
  async ([measure, one]) => {
    const { sabotage, on } = await one.off(engine);
    try {
      for (let run = 1; run <= mostRuns; run++) {
        const seed = one.firstSeed + run - 1;
        const { violation } = await simulate({ engine, seed, steps: 500, sabotage });
        if (violation?.invariant !== one.shows) continue;
        console.info(
          `without ${measure}: run ${run}, seed ${seed}: ${violation.invariant}: ${violation.detail}`,
        );
        return;
      }
      expect.unreachable(`${mostRuns} runs, and "${one.shows}" held in all`);
    } finally {
      await on();
    }
  },
);
