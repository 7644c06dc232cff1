import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askedOrExit, exitWithUsage } from '../support/command-line.ts';
import { type Finding, play, type Scenario, scenarios } from './scenarios.ts';
import { type BuiltStage, buildStage } from './stage.ts';

// What each kind of offender costs, each before a gateway process of its own: what one left behind would hide what
// the next one takes.

const usage =
  'npm run offenders -- [--streams 5000] [--non-readers 500] [--bodies 100] [--idle-seconds 60] ' +
  '[--stall-seconds 20] [--only "idle streams"]';
const { numbers, words } = askedOrExit(usage, {
  numbers: {
    streams: { byDefault: 5000, least: 1 },
    'non-readers': { byDefault: 500, least: 1 },
    bodies: { byDefault: 100, least: 1 },
    'idle-seconds': { byDefault: 60, least: 1 },
    'stall-seconds': { byDefault: 20, least: 1 },
  },
  words: { only: '' },
});
const scale = {
  idleStreams: numbers.streams,
  idleMs: numbers['idle-seconds'] * 1000,
  nonReaders: numbers['non-readers'],
  largeAnswers: 50,
  largeBodies: numbers.bodies,
  floods: 500,
  slowRequests: 500,
};

/** Each stream is two files in the gateway and, as the clients and the provider are one process, two here. */
function refuseTooFewFiles(): void {
  const needed = 2 * Math.max(scale.idleStreams, scale.nonReaders) + 500;
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  if (limit === 'unlimited' || Number(limit) >= needed) return;
  console.error(
    `${scale.idleStreams} streams need ${needed} open files in a process, and the limit is ${limit}. ` +
      `Raise it ("ulimit -n ${needed}"), or ask for fewer with --streams.`,
  );
  process.exit(2);
}

function line(finding: Finding): string {
  const { name, tally, watched, beforeMiB, grownMiB, permittedMiB, violations } = finding;
  const { served, slowestMs, mostMiB, endMiB } = watched;
  const answers = Object.entries(tally).map(([outcome, count]) => `${count} × ${outcome}`);
  const figures = [
    beforeMiB.toFixed(0),
    `+${grownMiB.toFixed(0)} (${permittedMiB.toFixed(0)})`,
    mostMiB.toFixed(0),
    endMiB.toFixed(0),
    `${served}, slowest ${slowestMs.toFixed(0)} ms`,
  ];
  return `| ${[name, answers.join(', '), ...figures, violations.length === 0 ? 'holds' : 'VIOLATED'].join(' | ')} |`;
}

/** Together in one process: what needs what the one before has left open. */
function chains(): readonly (readonly Scenario[])[] {
  const all: Scenario[][] = [];
  for (const scenario of scenarios) {
    if (scenario.followsOn && all.length > 0) all.at(-1)?.push(scenario);
    else all.push([scenario]);
  }
  return all.filter((chain) => chain.some(({ name }) => name.includes(words.only)));
}

async function onStage(work: (stage: BuiltStage) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-offenders-'));
  const stage = await buildStage({ scale, stallSeconds: numbers['stall-seconds'], dataDir });
  try {
    await work(stage);
  } finally {
    await stage.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

refuseTooFewFiles();
const asked = chains();
if (asked.length === 0) exitWithUsage(usage, `there is no offender "${words.only}"`);
const violations: string[] = [];
console.info('| offender | answers | before, MiB | grew by (may) | most | end | bystander served | |');
console.info('| --- | --- | --- | --- | --- | --- | --- | --- |');
for (const chain of asked) {
  await onStage(async (stage) => {
    for (const scenario of chain) {
      const finding = await play(scenario, stage);
      console.info(line(finding));
      violations.push(...finding.violations.map((violation) => `${finding.name}: ${violation}`));
    }
  });
}
for (const violation of violations) console.error(violation);
console.info(violations.length === 0 ? '\neverything holds' : `\n${violations.length} violations`);
process.exitCode = violations.length === 0 ? 0 : 1;
