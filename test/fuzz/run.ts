import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { streamProperty } from './streams.ts';

// npm run fuzz -- --runs 1000000 --seed 1: mutated and randomly split streams through every dialect.

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
const roundRuns = 50_000;
const startedAt = performance.now();
let mostHeapBytes = 0;
for (let done = 0, round = 0; done < runs; done += roundRuns, round++) {
  const numRuns = Math.min(roundRuns, runs - done);
  const result = fc.check(streamProperty(), { numRuns, seed: seed + round });
  if (result.failed) {
    console.error(fc.defaultReportMessage(result));
    process.exit(1);
  }
  mostHeapBytes = Math.max(mostHeapBytes, process.memoryUsage().heapUsed);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.info(`${done + numRuns} of ${runs} streams, seed ${seed}, ${seconds} s`);
}
console.info(
  `no crash, same reading however cut; at most ${(mostHeapBytes / 2 ** 20).toFixed(0)} MiB of heap`,
);
