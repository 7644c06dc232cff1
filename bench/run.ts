import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { estimate } from './estimate.ts';
import { ledger } from './ledger.ts';
import { observability } from './observability.ts';
import type { BenchOptions, Question } from './question.ts';
import { tenants } from './tenants.ts';

// npm run bench -- QUESTION [options]: one question a file, each with a baseline in the same run.

const questions: Readonly<Record<string, Question>> = { estimate, ledger, observability, tenants };

const usage = `npm run bench -- QUESTION [options]

  estimate    How long does the estimate of a prompt hold up the event loop?
  ledger      One hot tenant: group commit against one statement a transaction
  observability
              What metrics and logs take of the CPU of a request
  tenants     What a tenant takes in Redis, and whether a million of them slow quota_check down

  --rounds N       how often everything is measured (5)
  --seconds S      how long each measurement of the ledger takes (2)
  --fsync on|off   whether the ledger's Postgres flushes to the disk (on)
  --tenants N      how many the large Redis has (1000000)
  --json FILE      writes the result there instead of printing it as the last line
`;

class UsageError extends Error {}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '2' },
        fsync: { type: 'string', default: 'on' },
        tenants: { type: 'string', default: '1000000' },
        json: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readOptions(): BenchOptions & { readonly question: Question; readonly json: string | null } {
  const { values, positionals } = readArguments();
  const question = questions[positionals[0] ?? ''];
  if (question === undefined || positionals.length !== 1) throw new UsageError('which question?');
  const { fsync } = values;
  if (fsync !== 'on' && fsync !== 'off') throw new UsageError('--fsync is on or off');
  const [rounds, seconds, tenants] = [values.rounds, values.seconds, values.tenants].map(Number) as [
    number,
    number,
    number,
  ];
  if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError('--rounds is a whole number from 1');
  if (!(seconds > 0 && seconds <= 600)) throw new UsageError('--seconds is a number up to 600');
  if (!Number.isInteger(tenants) || tenants < 1_000)
    throw new UsageError('--tenants is a whole number from 1000');
  return { question, rounds, seconds, fsync, tenants, json: values.json ?? null };
}

async function ask(question: Question, options: BenchOptions, json: string | null): Promise<void> {
  const { table, result, failures } = await question(options);
  console.table(table);
  const machine = { node: process.version, cpu: cpus()[0]?.model ?? null, cpus: cpus().length };
  const text = JSON.stringify({ ...result, machine, failures });
  if (json === null) console.log(text);
  else await writeFile(json, `${text}\n`);
  for (const failure of failures) console.error(`wrong: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}

try {
  const { question, json, ...options } = readOptions();
  await ask(question, options, json);
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\n\n${usage}` : error);
  process.exitCode = isUsage ? 2 : 1;
}
