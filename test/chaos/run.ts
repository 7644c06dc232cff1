import { askedOrExit, exitWithUsage } from '../support/command-line.ts';
import { postgresPrograms, providePrograms, redisPrograms } from '../support/services/find-programs.ts';
import { runChaos } from './chaos.ts';
import { checkpointIntervalMs } from './outages.ts';
import { type FaultKind, faultKinds } from './records.ts';
import { isClean, shortcomingsOf, storyOf, tableOf } from './report.ts';

// Everything dies, again and again, and nothing is lost, nothing twice, nothing unexplained; or the story of what was
// is told, and it ends with 1. It does so too where too little happened to prove anything.

const usage =
  'npm run chaos -- [--minutes 10] [--seed 1] [--kills-per-minute 7] [--settle-seconds 120] ' +
  '[--without kill_redis,flush_redis]';
const { numbers, words } = askedOrExit(usage, {
  numbers: {
    minutes: { byDefault: 10, least: 0.25 },
    seed: { byDefault: Date.now() % 2 ** 31, least: 0 },
    'kills-per-minute': { byDefault: 7, least: 1 },
    'settle-seconds': { byDefault: 120, least: 1 },
  },
  words: { without: '' },
});
const without = words.without.split(',').filter((name) => name !== '');
const unknown = without.find((name) => !faultKinds.includes(name as FaultKind));
if (unknown !== undefined)
  exitWithUsage(usage, `there is no fault "${unknown}"; there are ${faultKinds.join(', ')}`);
const mostStories = 5;

await providePrograms([postgresPrograms, redisPrograms], { tell: console.info });
const report = await runChaos({
  seed: numbers.seed,
  minutes: numbers.minutes,
  killsPerMinute: numbers['kills-per-minute'],
  stopsLong: true,
  without: new Set(without as FaultKind[]),
  settledWithinMs: numbers['settle-seconds'] * 1000,
  checkpointWithinMs: checkpointIntervalMs,
  longTokens: { least: 200, most: 400 },
  tell: console.info,
});
for (const finding of report.findings.slice(0, mostStories)) console.error(`\n${storyOf(finding, [])}`);
console.info(`\n${tableOf(report)}`);
const shortcomings = shortcomingsOf(report);
for (const shortcoming of shortcomings) console.error(`it proves nothing: ${shortcoming}`);
process.exit(isClean(report) && shortcomings.length === 0 ? 0 : 1);
