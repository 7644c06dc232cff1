import { mkdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { postgresPrograms, providePrograms, redisPrograms } from './find-programs.ts';
import { freePort } from './free-port.ts';
import { administer, type PostgresService, startKeptPostgres } from './postgres.ts';
import { type RedisServer, startRedis } from './redis.ts';

// `npm run dev:services`: a Postgres and a Redis of one's own, for a gateway that is being worked on.

/** The same at every start where they are free, beside the usual ones, which an installed server may have. */
const postgresPort = 15_432;
const redisPort = 16_379;
const database = 'tollgate';
const looksEveryMs = 500;

interface Services {
  readonly postgres: PostgresService;
  readonly redis: RedisServer;
}

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // One Ctrl-C comes twice, from the terminal and from npm: the second asks for nothing more.
  process.on(signal, () => {
    if (!stopping.signal.aborted) console.info('Stopping Postgres and Redis.');
    stopping.abort();
  });
}

try {
  await runServices();
} catch (error) {
  console.error(`npm run dev:services: ${(error as Error).message}`);
  process.exitCode = 1;
}

async function runServices(): Promise<void> {
  const folder = join(resolve(process.env.DATA_DIR || './data'), 'services');
  await providePrograms([postgresPrograms, redisPrograms], { tell: console.info });
  await using undo = new AsyncDisposableStack();
  await mkdir(folder, { recursive: true });
  const postgres = await startKeptPostgres(join(folder, 'postgres'), await freePort(postgresPort));
  undo.defer(() => postgres.stop());
  await ensureDatabase(postgres);
  const redis = await startRedis({ port: `${await freePort(redisPort)}` });
  undo.defer(() => redis.stop());
  if (!stopping.signal.aborted) tell({ postgres, redis }, folder);
  await untilStopped({ postgres, redis });
}

async function ensureDatabase(postgres: PostgresService): Promise<void> {
  try {
    await administer(postgres.url, `CREATE DATABASE ${database}`);
  } catch (error) {
    const isThere = (error as { readonly code?: string }).code === '42P04';
    if (!isThere) throw error;
  }
}

function tell({ postgres, redis }: Services, folder: string): void {
  const databaseUrl = `DATABASE_URL=${postgres.urlOf(database)}`;
  const redisUrl = `REDIS_URL=${redis.url}`;
  console.info(`
Postgres and Redis run until Ctrl-C. ${join(relative('.', folder), 'postgres')} keeps what is in Postgres; Redis keeps nothing.

${databaseUrl}
${redisUrl}

Start the gateway on them:

${databaseUrl} ${redisUrl} npm start
`);
}

/** @throws Error where one of them ends by itself */
async function untilStopped({ postgres, redis }: Services): Promise<void> {
  while (!stopping.signal.aborted) {
    if (!postgres.isRunning) throw new Error('Postgres has ended');
    if (!redis.isRunning) throw new Error('Redis has ended');
    await sleep(looksEveryMs, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
}
