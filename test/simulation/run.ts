import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Engine } from './engine.ts';
import { type RunReport, simulate } from './simulation.ts';

// npm run simulate -- --seed 1 --runs 10000 [--steps 500] [--jobs 2] [--keep-going]
// npm run simulate -- --seed 7 --runs 1 --trace

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    runs: { type: 'string', default: '100' },
    steps: { type: 'string', default: '500' },
    jobs: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    /** Of a job: every so manieth seed is its own. */
    stride: { type: 'string', default: '1' },
  },
});
const seed = Number(values.seed);
const runs = Number(values.runs);
const steps = Number(values.steps);
const jobs = Number(values.jobs);
const stride = Number(values.stride);
for (const number of [seed, runs, steps, jobs, stride])
  if (!Number.isSafeInteger(number) || number < 0)
    throw new Error('--seed, --runs, --steps, --jobs: numbers');

/** What a run came to, as a job tells it. */
interface Told {
  readonly figures: Readonly<Record<string, number>>;
  readonly failure: string | null;
}

const progressEveryMs = 30_000;
const startedAt = performance.now();
const totals = new Map<string, number>();
const failures: string[] = [];
let toldAt = startedAt;

if (process.send !== undefined) await runAll((told) => process.send?.(told));
else {
  await (jobs > 1 ? runJobs() : runAll(take));
  console.info(`seed ${seed}, ${steps} steps a run, ${seconds()} s`);
  console.table(Object.fromEntries([...totals].sort(([a], [b]) => a.localeCompare(b))));
  for (const failure of failures) console.error(failure);
  const done = totals.get('runs') ?? 0;
  console.info(`${done} of ${runs} runs, ${failures.length} violations`);
  process.exitCode = failures.length === 0 && done === runs ? 0 : 1;
}

/** One run after the other in this process. */
async function runAll(tell: (told: Told) => void): Promise<void> {
  const engine = await Engine.open();
  for (let run = 0; run < runs; run++) {
    const report = await simulate({
      engine,
      seed: seed + run * stride,
      steps,
      ...(values.trace ? { onLine: (line: string) => console.info(line) } : {}),
    });
    const failure = failureOf(report);
    tell({ figures: figuresOf(report), failure });
    if (failure !== null && !values['keep-going']) break;
  }
  await engine.close();
}

/** The seeds dealt out to processes, each with an engine of its own. */
async function runJobs(): Promise<void> {
  const children = Array.from({ length: jobs }, (_, job) => {
    const own = Math.floor(runs / jobs) + (job < runs % jobs ? 1 : 0);
    const options = { seed: seed + job, runs: own, steps, stride: jobs };
    const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const more = values['keep-going'] ? ['--keep-going'] : [];
    return fork(import.meta.filename, [...given, ...more]);
  });
  const ends = children.map(async (child) => {
    child.on('message', (told: Told) => {
      take(told);
      if (told.failure !== null && !values['keep-going']) for (const other of children) other.kill();
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0 && failures.length === 0) failures.push(`a job ended with code ${code}`);
  });
  await Promise.all(ends);
}

function take({ figures, failure }: Told): void {
  for (const [name, count] of Object.entries(figures)) totals.set(name, (totals.get(name) ?? 0) + count);
  if (failure !== null) {
    failures.push(failure);
    console.error(failure);
  }
  if (performance.now() - toldAt < progressEveryMs) return;
  toldAt = performance.now();
  const count = (name: string) => totals.get(name) ?? 0;
  console.info(
    `${seconds()} s: ${count('runs')} of ${runs} runs, ${count('steps')} steps, ${count('requests')} requests, ` +
      `${failures.length} violations`,
  );
}

function figuresOf({ figures, outcomes }: RunReport): Record<string, number> {
  const ofOutcomes = [...outcomes].map(([name, count]) => [`answered: ${name}`, count] as const);
  return { runs: 1, ...figures, ...Object.fromEntries(ofOutcomes) };
}

function failureOf({ seed: failed, violation, lastLines }: RunReport): string | null {
  if (violation === null) return null;
  const events = values.trace || values['keep-going'] ? [] : lastLines;
  return [...events, `seed ${failed}: ${violation.invariant}: ${violation.detail}`].join('\n');
}

function seconds(): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}
