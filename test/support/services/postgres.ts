import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, chown, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { childrenOf } from './children.ts';
import { postgresPrograms, programPath } from './find-programs.ts';
import { freePort } from './free-port.ts';
import { startServerProcess } from './server-process.ts';
import { waitUntil } from './wait-until.ts';

const run = promisify(execFile);
const readyWithinMs = 30_000;
const isRoot = process.getuid?.() === 0;

/** A Postgres of our own on loopback. */
export interface PostgresService {
  /** Of its database `postgres`. */
  readonly url: string;
  urlOf(database: string): string;
  readonly isRunning: boolean;
  /** The server's own, first, and those that it has started. */
  processes(): Promise<readonly number[]>;
  /** Ends it at once, as a crash would; its data stay. */
  crash(): Promise<void>;
  /** Kills every process of it: none of them does anything any more. Its data stay. */
  kill(): Promise<void>;
  /** Starts it again on the same port. */
  restart(): Promise<void>;
  /** Stops every process of it without a word to anyone, until `thaw`. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends it, and removes its data unless they are meant to stay. */
  stop(): Promise<void>;
}

interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** Postgres refuses to run as root: it runs as Debian's own account for it, or as nobody. */
async function account(): Promise<Account> {
  if (!isRoot) return {};
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, name]))).catch(() => null);
    if (ids !== null) return { uid: Number(ids[0]?.stdout), gid: Number(ids[1]?.stdout) };
  }
  throw new Error('Postgres does not run as root, and there is no account "postgres" or "nobody" here.');
}

/** The server and the processes that it has started for its connections. */
async function processesOf(pid: number): Promise<readonly number[]> {
  return [pid, ...(await childrenOf(pid))];
}

/** One that has ended in the meantime needs no signal any more. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const alwaysSet = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200'];
/** Sorting by a language, as most servers do: what has to compare by bytes says so itself. */
const clusterFlags = '-U postgres -A trust -E UTF8 --locale=C --locale-provider=icu --icu-locale=en-US'.split(
  ' ',
);

/** Made for tests: it doesn't sync to disk, so it survives a crash of itself, not of the machine. */
export async function startPostgres(settings: readonly string[] = []): Promise<PostgresService> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-postgres-'));
  try {
    await createCluster(dataDir, ['--no-sync']);
    // In its file, not in its arguments: what is there can't be changed while it runs.
    await appendFile(join(dataDir, 'postgresql.conf'), 'fsync = off\n');
    const port = await freePort();
    return await runPostgres({ dataDir, port, settings, isTemporary: true });
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
}

/** One whose data stay, made where there are none yet; it syncs to disk as Postgres does by default. */
export async function startKeptPostgres(dataDir: string, port: number): Promise<PostgresService> {
  if (!existsSync(dataDir)) {
    // Whoever is interrupted while making it must not leave half of it under its name.
    const unfinished = `${dataDir}.new`;
    await rm(unfinished, { recursive: true, force: true });
    await createCluster(unfinished, []);
    await rename(unfinished, dataDir);
  }
  return await runPostgres({ dataDir, port, settings: [], isTemporary: false });
}

async function createCluster(dataDir: string, flags: readonly string[]): Promise<void> {
  const initdb = await programPath(postgresPrograms, 'initdb');
  const as = await account();
  await mkdir(dataDir, { recursive: true });
  if (as.uid !== undefined && as.gid !== undefined) await chown(dataDir, as.uid, as.gid);
  await requireAccess(dataDir, as);
  await run(initdb, ['-D', dataDir, ...clusterFlags, ...flags], { ...as, cwd: dataDir, env: environment() });
}

async function requireAccess(folder: string, as: Account): Promise<void> {
  await run('test', ['-w', folder], as).catch((cause) => {
    const message =
      `Postgres does not run as root, and the account that it runs as may not enter ${folder}: ` +
      'open the folders above it, or keep the data elsewhere with DATA_DIR.';
    throw new Error(message, { cause });
  });
}

const environment = () => ({ PATH: process.env.PATH ?? '', LC_ALL: 'C' });

interface RunPostgresOptions {
  readonly dataDir: string;
  readonly port: number;
  readonly settings: readonly string[];
  readonly isTemporary: boolean;
}

async function runPostgres({
  dataDir,
  port,
  settings,
  isTemporary,
}: RunPostgresOptions): Promise<PostgresService> {
  const program = await programPath(postgresPrograms);
  const as = await account();
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const flags = [...alwaysSet, ...settings].flatMap((setting) => ['-c', setting]);
  const start = async () => {
    const started = await startServerProcess({
      program,
      args: ['-D', dataDir, '-p', String(port), ...flags],
      cwd: dataDir,
      env: environment(),
      // An immediate shutdown: nobody is waited for, and the next start recovers from the log.
      endSignal: 'SIGQUIT',
      ...as,
      ...(isTemporary ? { temporaryFolder: dataDir } : {}),
    });
    const ready = {
      what: `Postgres takes connections on port ${port}`,
      isSo: () => takesConnections(urlOf('postgres')),
      withinMs: readyWithinMs,
      giveUp: started.requireRunning,
    };
    await waitUntil(ready).catch(async (error) => {
      await started.end();
      throw error;
    });
    return started;
  };
  let server = await start();
  const frozen = new Set<number>();
  const thaw = async () => {
    for (const pid of frozen) signal(pid, 'SIGCONT');
    frozen.clear();
  };
  const end = async (name?: NodeJS.Signals) => {
    await thaw();
    await server.end(name);
  };
  return {
    url: urlOf('postgres'),
    urlOf,
    get isRunning() {
      return server.isRunning;
    },
    processes: () => processesOf(server.pid),
    crash: () => end(),
    kill: async () => {
      frozen.clear();
      // While it stands still it starts no session that would outlive it.
      signal(server.pid, 'SIGSTOP');
      for (const pid of await childrenOf(server.pid)) signal(pid, 'SIGKILL');
      await server.end('SIGKILL');
    },
    restart: async () => {
      await end();
      server = await start();
    },
    freeze: async () => {
      frozen.add(server.pid);
      // First: what it starts meanwhile would go on.
      signal(server.pid, 'SIGSTOP');
      for (const pid of await childrenOf(server.pid)) {
        frozen.add(pid);
        signal(pid, 'SIGSTOP');
      }
    },
    thaw,
    stop: async () => {
      if (isTemporary) {
        await end();
        await rm(dataDir, { recursive: true, force: true });
      } else {
        // A fast shutdown: sessions are ended, and the next start has nothing to recover.
        await end('SIGINT');
      }
    },
  };
}

async function takesConnections(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Runs one statement on a connection of its own. */
export async function administer(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

export interface TestDatabase {
  readonly url: string;
  remove(): Promise<void>;
}

/** A database of a server, empty or as its template is. */
export async function createDatabase(serverUrl: string, template = 'template1'): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await administer(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    remove: () => administer(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`),
  };
}
