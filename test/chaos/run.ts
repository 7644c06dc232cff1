import { parseArgs } from 'node:util';
import { postgresPrograms, providePrograms, redisPrograms } from '../support/services/find-programs.ts';
import { runChaos } from './chaos.ts';
import type { FaultKind } from './records.ts';
import { isClean, storyOf, tableOf } from './report.ts';

// npm run chaos -- --minutes 10 --seed 1 --kills-per-minute 7: everything dies, again and again, and nothing is
// lost, nothing twice, nothing unexplained; or the story of what was is told, and it ends with 1.

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    'kills-per-minute': { type: 'string', default: '7' },
    without: { type: 'string', default: '' },
    'settle-seconds': { type: 'string', default: '120' },
  },
});
const mostStories = 5;

await providePrograms([postgresPrograms, redisPrograms], { tell: console.info });
const report = await runChaos({
  seed: Number(values.seed),
  minutes: Number(values.minutes),
  killsPerMinute: Number(values['kills-per-minute']),
  stopsLong: true,
  without: new Set(values.without.split(',') as FaultKind[]),
  settledWithinMs: Number(values['settle-seconds']) * 1000,
  longTokens: { least: 200, most: 400 },
  tell: console.info,
});
for (const finding of report.findings.slice(0, mostStories)) console.error(`\n${storyOf(finding, [])}`);
console.info(`\n${tableOf(report)}`);
process.exit(isClean(report) ? 0 : 1);
