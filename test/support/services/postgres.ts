import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';

const run = promisify(execFile);
const oldestMajor = 15;
const readyWithinMs = 30_000;
const isRoot = process.getuid?.() === 0;

/** A Postgres of our own on loopback. */
export interface PostgresService {
  /** Of its database `postgres`. */
  readonly url: string;
  urlOf(database: string): string;
  /** Ends it at once, as a crash would; its data stay. */
  crash(): Promise<void>;
  /** Starts it again on the same port. */
  restart(): Promise<void>;
  /** Stops every process of it without a word to anyone, until `thaw`. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends it and removes its data. */
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

async function candidates(): Promise<readonly string[]> {
  const debian = '/usr/lib/postgresql';
  const versions = await readdir(debian).catch(() => []);
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  return [
    ...(process.env.PATH ?? '').split(delimiter),
    ...newestFirst.map((version) => join(debian, version, 'bin')),
  ];
}

/** The folder of a Postgres that is new enough, with what makes a database cluster. */
async function findBinaries(): Promise<string | null> {
  for (const folder of await candidates()) {
    const files = await readdir(folder).catch(() => [] as string[]);
    if (!files.includes('postgres') || !files.includes('initdb')) continue;
    const { stdout } = await run(join(folder, 'postgres'), ['--version']);
    if (Number(/(\d+)/.exec(stdout)?.[1]) >= oldestMajor) return folder;
  }
  return null;
}

async function installWhereItMay(): Promise<void> {
  if (!isRoot) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) => run('apt-get', ['-qq', ...args], { env });
  await apt('update').catch(() => undefined);
  await apt('install', '-y', '--no-install-recommends', 'postgresql').catch(() => undefined);
}

async function binaries(): Promise<string> {
  const found = await findBinaries();
  if (found !== null) return found;
  await installWhereItMay();
  const installed = await findBinaries();
  if (installed !== null) return installed;
  throw new Error(
    `The tests need Postgres ${oldestMajor} or newer (its programs "postgres" and "initdb") and found none: ` +
      'install it with "apt-get install postgresql" or "brew install postgresql", or put its folder on the PATH.',
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function waitForReady(url: string, child: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + readyWithinMs;
  while (Date.now() < deadline && child.exitCode === null) {
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    const ready = await client.connect().then(
      () => true,
      () => false,
    );
    await client.end().catch(() => undefined);
    if (ready) return;
    await sleep(25);
  }
  child.kill('SIGKILL');
  throw new Error(`Postgres did not get ready:\n${output()}`);
}

/** The server and the processes that it has started for its connections. */
async function processesOf(pid: number): Promise<readonly number[]> {
  const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(pid)]).catch(() => ({ stdout: '' }));
  return [pid, ...stdout.split('\n').filter(Boolean).map(Number)];
}

/** One that has ended in the meantime needs no signal any more. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const alwaysSet = [
  'fsync=off',
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=200',
];
const clusterFlags = '-U postgres -A trust -E UTF8 --locale=C --no-sync'.split(' ');

interface Cluster {
  readonly dataDir: string;
  /** Starts its server, which takes connections when this resolves. */
  start(): Promise<ChildProcess>;
  urlOf(database: string): string;
}

async function createCluster(settings: readonly string[]): Promise<Cluster> {
  const folder = await binaries();
  const as = await account();
  const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-postgres-'));
  if (as.uid !== undefined && as.gid !== undefined) await chown(dataDir, as.uid, as.gid);
  const options = { ...as, cwd: dataDir, env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' } };
  await run(join(folder, 'initdb'), ['-D', dataDir, ...clusterFlags], options);
  const port = await freePort();
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const flags = [...alwaysSet, ...settings].flatMap((setting) => ['-c', setting]);
  const start = async () => {
    const args = ['-D', dataDir, '-p', String(port), ...flags];
    const server = spawn(join(folder, 'postgres'), args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    server.stdout.on('data', (chunk) => (output += chunk));
    server.stderr.on('data', (chunk) => (output += chunk));
    await waitForReady(urlOf('postgres'), server, () => output);
    return server;
  };
  return { dataDir, start, urlOf };
}

/** Made for tests: it doesn't sync to disk, so it survives a crash of itself, not of the machine. */
export async function startPostgres(settings: readonly string[] = []): Promise<PostgresService> {
  const cluster = await createCluster(settings);
  const remove = () => rm(cluster.dataDir, { recursive: true, force: true });
  let server = await cluster.start().catch(async (error) => {
    await remove();
    throw error;
  });
  const frozen = new Set<number>();
  const thaw = () => {
    for (const pid of frozen) signal(pid, 'SIGCONT');
    frozen.clear();
  };
  const end = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    thaw();
    const exited = once(server, 'exit');
    // An immediate shutdown: nobody is waited for, and the next start recovers from the log.
    server.kill('SIGQUIT');
    await exited;
  };
  return {
    url: cluster.urlOf('postgres'),
    urlOf: cluster.urlOf,
    crash: end,
    restart: async () => {
      server = await cluster.start();
    },
    freeze: async () => {
      for (const pid of await processesOf(server.pid ?? 0)) {
        frozen.add(pid);
        signal(pid, 'SIGSTOP');
      }
    },
    thaw: async () => thaw(),
    stop: async () => {
      await end();
      await remove();
    },
  };
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
