import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { residentMiB } from './bystander.ts';
import { type Finding, play, scenarios } from './scenarios.ts';
import { buildStage } from './stage.ts';

// npm run offenders -- --streams 5000 --non-readers 500 --bodies 100: what each kind of offender costs.

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '5000' },
    'non-readers': { type: 'string', default: '500' },
    bodies: { type: 'string', default: '100' },
    'idle-seconds': { type: 'string', default: '60' },
    'stall-seconds': { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
  },
});
const scale = {
  idleStreams: Number(values.streams),
  idleMs: Number(values['idle-seconds']) * 1000,
  nonReaders: Number(values['non-readers']),
  largeAnswers: 50,
  largeBodies: Number(values.bodies),
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
  const { name, tally, watched, grownMiB, permittedMiB, violations } = finding;
  const { served, slowestMs, mostMiB, endMiB } = watched;
  const answers = Object.entries(tally).map(([outcome, count]) => `${count} × ${outcome}`);
  const figures = [
    `+${grownMiB.toFixed(0)} (${permittedMiB.toFixed(0)})`,
    mostMiB.toFixed(0),
    endMiB.toFixed(0),
    `${served}, slowest ${slowestMs.toFixed(0)} ms`,
  ];
  return `| ${[name, answers.join(', '), ...figures, violations.length === 0 ? 'holds' : 'VIOLATED'].join(' | ')} |`;
}

refuseTooFewFiles();
const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-offenders-'));
const stage = await buildStage({ scale, stallSeconds: Number(values['stall-seconds']), dataDir });
const violations: string[] = [];
try {
  console.info(`the gateway has ${(await residentMiB(stage.pid)).toFixed(0)} MiB before anything happens\n`);
  console.info('| offender | answers | grew by (may), MiB | most | end | bystander served | |');
  console.info('| --- | --- | --- | --- | --- | --- | --- |');
  for (const scenario of scenarios.filter(({ name }) => name.includes(values.only))) {
    const finding = await play(scenario, stage);
    console.info(line(finding));
    violations.push(...finding.violations.map((violation) => `${finding.name}: ${violation}`));
  }
} finally {
  await stage.stop();
  await rm(dataDir, { recursive: true, force: true });
}
for (const violation of violations) console.error(violation);
console.info(violations.length === 0 ? '\neverything holds' : `\n${violations.length} violations`);
process.exitCode = violations.length === 0 ? 0 : 1;
