import { rm } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { runChaos } from './chaos/chaos.ts';
import { checkpointIntervalMs } from './chaos/outages.ts';
import { shortcomingsOf, storyOf, tableOf } from './chaos/report.ts';

// The short form of `npm run chaos`: for half a minute everything dies.

const seed = Number(process.env.CHAOS_SEED ?? 7);

it('nothing is lost, nothing is charged twice, and nothing is unexplained, whatever dies', async () => {
  const report = await runChaos({
    seed,
    minutes: 0.5,
    killsPerMinute: 12,
    stopsLong: false,
    without: new Set(),
    settledWithinMs: 60_000,
    // A machine that does other things too writes some a little late.
    checkpointWithinMs: checkpointIntervalMs + 2_000,
    longTokens: { least: 60, most: 120 },
    tell: console.info,
  });
  console.info(tableOf(report));
  expect(report.verdicts.complete).toBeGreaterThan(20);
  expect(report.streamsBrokenByGateway).toBeGreaterThan(0);
  expect(shortcomingsOf(report)).toEqual([]);
  expect(report.findings.map((finding) => storyOf(finding, []))).toEqual([]);
  // The logs of a run that shows something are kept.
  await rm(report.folder, { recursive: true });
}, 300_000);
