import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { estimate } from './estimate.ts';
import { goalRow, holds, missed } from './goals.ts';
import { growth } from './growth.ts';
import { canPin } from './http/pinned.ts';
import { ledger } from './ledger.ts';
import { metering } from './metering.ts';
import { observability } from './observability.ts';
import { overhead } from './overhead.ts';
import type { BenchOptions, Question } from './question.ts';

import { quota } from './quota.ts';
import { streams } from './streams.ts';
import { tenants } from './tenants.ts';

// npm run bench -- QUESTION [options]: one question a file, each with a baseline in the same run.

const questions: Readonly<Record<string, Question>> = {
  estimate,
  growth,
  ledger,
  metering,
  observability,
  overhead,
  quota,
  streams,

  tenants,
};

const usage = `npm run bench -- QUESTION [options]

  estimate    How long does the estimate of a prompt hold up the event loop?
  growth      Whether transactions take longer in a ledger with 10,000,000 of them than in one with 10
  ledger      One hot tenant, and 10,000: group commit against one statement a transaction, and against pgbench
  metering    How many events of a stream are parsed and metered a second, in each wire format
  observability
              What metrics and logs take of the CPU of a request
  overhead    What a billed request takes beyond a bare relay, and beyond what disk and network take
  quota       How many requests a second can be admitted, in memory and in Redis
  streams     What a billed stream takes beyond a bare relay: CPU, delay and memory
  tenants     What a tenant takes in Redis, and whether a million of them slow quota_check down

  --rounds N       how often everything is measured (5)
  --seconds S      how long each measurement takes (2)
  --fsync on|off   whether the ledger's Postgres flushes to the disk (on)
  --tenants N      how many there are where there are many (1000000)
  --transactions N how many the large ledger has (10000000)
  --only A,B       measures a part, by the names in its table
  --profile FOLDER has the gateways leave profiles of their CPU there, which slows them down
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
        transactions: { type: 'string', default: '10000000' },
        only: { type: 'string' },
        profile: { type: 'string' },
        json: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new UsageError(`--${name} is a whole number from ${least}`);
  return value;
}

interface Asked {
  readonly question: Question;
  readonly options: BenchOptions;
  readonly json: string | null;
}

function readAsked(): Asked {
  const { values, positionals } = readArguments();
  const question = questions[positionals[0] ?? ''];
  if (question === undefined || positionals.length !== 1) throw new UsageError('which question?');
  const { fsync } = values;
  if (fsync !== 'on' && fsync !== 'off') throw new UsageError('--fsync is on or off');
  const seconds = Number(values.seconds);
  if (!(seconds > 0 && seconds <= 600)) throw new UsageError('--seconds is a number up to 600');
  const options = {
    rounds: wholeNumber('rounds', values.rounds, 1),
    seconds,
    fsync,
    tenants: wholeNumber('tenants', values.tenants, 1_000),
    transactions: wholeNumber('transactions', values.transactions, 10),
    only: values.only?.split(',') ?? null,
    profileFolder: values.profile === undefined ? null : resolve(values.profile),
  } as const;
  return { question, options, json: values.json ?? null };
}

async function ask({ question, options, json }: Asked): Promise<void> {
  const { table, result, goals = [], failures: found } = await question(options);
  console.table(table);
  if (goals.length > 0) console.table(goals.map(goalRow));
  const failures = [...found, ...goals.filter((goal) => !holds(goal)).map(missed)];
  const machine = {
    node: process.version,
    cpu: cpus()[0]?.model ?? null,
    cpus: cpus().length,
    pinned: await canPin(),
  };
  const text = JSON.stringify({ ...result, goals, machine, failures });
  if (json === null) console.log(text);
  else await writeFile(json, `${text}\n`);
  for (const failure of failures) console.error(`wrong: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}

try {
  await ask(readAsked());
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\n\n${usage}` : error);
  process.exitCode = isUsage ? 2 : 1;
}
