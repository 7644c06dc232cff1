import { parseArgs } from 'node:util';
import { Engine } from './engine.ts';
import { type RunReport, simulate } from './simulation.ts';

// npm run simulate -- --seed 1 --runs 10000 [--steps 500] [--jobs 2]
// npm run simulate -- --seed 7 --runs 1 --trace

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    runs: { type: 'string', default: '100' },
    steps: { type: 'string', default: '500' },
    jobs: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const runs = Number(values.runs);
const steps = Number(values.steps);

const engine = await Engine.open();
const totals = new Map<string, number>();
const add = (name: string, count: number) => totals.set(name, (totals.get(name) ?? 0) + count);
const startedAt = performance.now();
let failures = 0;
for (let run = 0; run < runs; run++) {
  const report = await simulate({
    engine,
    seed: seed + run,
    steps,
    ...(values.trace ? { onLine: (line: string) => console.info(line) } : {}),
  });
  add('runs', 1);
  for (const [name, count] of Object.entries(report.figures)) add(name, count);
  for (const [name, count] of report.outcomes) add(`outcome ${name}`, count);
  if (report.violation !== null) {
    failures++;
    fail(report);
    if (!values['keep-going']) break;
  }
  if ((run + 1) % 500 === 0) console.info(`${run + 1} runs, ${seconds()} s`);
}
console.info(`${seconds()} s`, Object.fromEntries(totals));
await engine.close();
process.exitCode = failures === 0 ? 0 : 1;

function fail({ seed: failed, violation, lastLines }: RunReport): void {
  if (!values.trace && !values['keep-going']) for (const line of lastLines) console.error(line);
  console.error(`seed ${failed}: ${violation?.invariant}: ${violation?.detail}`);
}

function seconds(): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}
