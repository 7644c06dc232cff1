import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const answersWithinMs = 10_000;

/** A server that the tests start themselves, and where it comes from. */
export interface Requirement {
  readonly name: string;
  /** The first of them tells its version. */
  readonly programs: readonly [string, ...string[]];
  /** What it has to be asked with; `--version` where this is absent. */
  readonly versionArgument?: string;
  readonly oldestMajor: number;
  /** Of the environment: a folder with the programs, which is looked into before the PATH. */
  readonly folderVariable: string;
  /** Folders beside the PATH, the newest version first. */
  readonly otherFolders: () => Promise<readonly string[]>;
  readonly aptPackage: string;
  readonly brewFormula: string;
}

export const postgresPrograms: Requirement = {
  name: 'Postgres',
  programs: ['postgres', 'initdb'],
  oldestMajor: 15,
  folderVariable: 'TEST_POSTGRES_FOLDER',
  otherFolders: async () => {
    const debian = '/usr/lib/postgresql';
    const versions = await readdir(debian).catch(() => []);
    return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(debian, version, 'bin'));
  },
  aptPackage: 'postgresql',
  brewFormula: 'postgresql@17',
};

export const redisPrograms: Requirement = {
  name: 'Redis',
  programs: ['redis-server'],
  oldestMajor: 7,
  folderVariable: 'TEST_REDIS_FOLDER',
  // A PATH without the system's folders is a user's, and the package puts it there.
  otherFolders: async () => ['/usr/bin', '/usr/local/bin'],
  aptPackage: 'redis-server',
  brewFormula: 'redis',
};

export const prometheusPrograms: Requirement = {
  name: 'Prometheus',
  // The package starts a server on port 9090 where it may: the tests start their own, on ports of their own.
  programs: ['prometheus', 'promtool'],
  oldestMajor: 2,
  folderVariable: 'TEST_PROMETHEUS_FOLDER',
  otherFolders: async () => ['/usr/bin', '/usr/local/bin'],
  aptPackage: 'prometheus',
  brewFormula: 'prometheus',
};

type Environment = Readonly<Record<string, string | undefined>>;

export type Search =
  | { readonly kind: 'found'; readonly folder: string }
  /** `unfit`: what there is of it, and why it won't do. */
  | { readonly kind: 'missing'; readonly unfit: readonly string[] };

/** Looks, and installs nothing. */
export async function search(wanted: Requirement, environment: Environment = process.env): Promise<Search> {
  const named = environment[wanted.folderVariable];
  const onPath = (environment.PATH ?? '').split(delimiter);
  const folders = [...(named === undefined ? [] : [named]), ...onPath, ...(await wanted.otherFolders())];
  const unfit: string[] = [];
  for (const folder of new Set(folders.filter(Boolean))) {
    const files = await readdir(folder).catch(() => [] as string[]);
    if (!wanted.programs.every((program) => files.includes(program))) continue;
    const program = join(folder, wanted.programs[0]);
    const version = await versionOf(program, wanted.versionArgument);
    if (version !== null && Number.parseInt(version, 10) >= wanted.oldestMajor) {
      return { kind: 'found', folder };
    }
    unfit.push(version === null ? `${program} tells no version` : `${program} is version ${version}`);
  }
  return { kind: 'missing', unfit };
}

async function versionOf(program: string, argument = '--version'): Promise<string | null> {
  // Some tell it as an error, and some call it a failure to have been asked.
  const told = await run(program, [argument], { timeout: answersWithinMs }).catch((error) => error);
  return /\d+(\.\d+)+/.exec(`${told.stdout ?? ''}${told.stderr ?? ''}`)?.[0] ?? null;
}

/**
 * The path of one of the programs. It is never installed here, where several workers may ask at once.
 * @throws Error that says what to install
 */
export async function programPath(wanted: Requirement, program = wanted.programs[0]): Promise<string> {
  // What the run's set-up has handed over was checked by it.
  const folder = process.env[wanted.folderVariable];
  if (folder !== undefined) return join(folder, program);
  const result = await search(wanted);
  if (result.kind === 'missing') throw new Error(howToInstall([[wanted, result]], null));
  return join(result.folder, program);
}

export interface ProvideOptions {
  readonly environment?: Record<string, string | undefined>;
  /** Installing changes the machine: only root may, and nobody is made root for it. */
  readonly mayInstall?: boolean;
  readonly bounds?: InstallBounds;
  readonly tell?: (line: string) => void;
}

/**
 * Finds all of them, or installs once what is missing, and puts their folders into the environment, for
 * every process that is started after.
 * @throws Error that names everything that is missing and says how to install it
 */
export async function providePrograms(
  requirements: readonly Requirement[],
  options: ProvideOptions = {},
): Promise<void> {
  const environment = options.environment ?? process.env;
  const mayInstall = options.mayInstall ?? process.getuid?.() === 0;
  let missing = await missingOf(requirements, environment);
  let trouble: string | null = null;
  if (missing.length > 0 && mayInstall) {
    const packages = missing.map(([{ aptPackage }]) => aptPackage);
    options.tell?.(`Installing ${packages.join(' and ')} for the tests, once …`);
    trouble = await installWithApt(packages, environment, options.bounds);
    missing = await missingOf(requirements, environment);
  }
  if (missing.length > 0) throw new Error(howToInstall(missing, trouble));
}

type Missing = readonly [Requirement, Extract<Search, { kind: 'missing' }>];

async function missingOf(
  requirements: readonly Requirement[],
  environment: Record<string, string | undefined>,
): Promise<readonly Missing[]> {
  const missing: Missing[] = [];
  for (const wanted of requirements) {
    const result = await search(wanted, environment);
    if (result.kind === 'found') environment[wanted.folderVariable] = result.folder;
    else missing.push([wanted, result]);
  }
  return missing;
}

function howToInstall(missing: readonly Missing[], trouble: string | null): string {
  const lines = missing.map(([{ name, oldestMajor, programs }, { unfit }]) => {
    const found = unfit.length === 0 ? 'none was found' : unfit.join(', ');
    return `The tests need ${name} ${oldestMajor} or newer (${programs.join(', ')}): ${found}.`;
  });
  const of = (pick: (wanted: Requirement) => string) => missing.map(([wanted]) => pick(wanted)).join(' ');
  lines.push(
    `Install it with "apt-get install ${of((wanted) => wanted.aptPackage)}" or ` +
      `"brew install ${of((wanted) => wanted.brewFormula)}" and have its folder on the PATH, ` +
      `or name the folder in ${of((wanted) => wanted.folderVariable)}.`,
  );
  if (trouble !== null) lines.push(`Installing it failed: ${trouble}`);
  return lines.join('\n');
}

export interface InstallBounds {
  /** For another apt to end: it may be the machine's own, or another run of the tests. */
  readonly lockMs: number;
  /** For each step that goes over the network. */
  readonly networkMs: number;
  readonly unpackMs: number;
}

const usualBounds: InstallBounds = { lockMs: 120_000, networkMs: 180_000, unpackMs: 300_000 };

/** @returns what stood in the way, null where nothing did */
async function installWithApt(
  packages: readonly string[],
  environment: Environment,
  { lockMs, networkMs, unpackMs }: InstallBounds = usualBounds,
): Promise<string | null> {
  const settings = [
    `DPkg::Lock::Timeout=${Math.ceil(lockMs / 1000)}`,
    'Acquire::Retries=1',
    'Acquire::http::Timeout=20',
    'Acquire::https::Timeout=20',
    // A question about a configuration file would wait for an answer for ever.
    'Dpkg::Options::=--force-confdef',
    'Dpkg::Options::=--force-confold',
  ].flatMap((setting) => ['-o', setting]);
  // The packages would start servers of their own on the usual ports, but for this run level.
  const env = { ...environment, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (timeoutMs: number, ...args: readonly string[]) =>
    runToTrouble('apt-get', ['-qq', ...settings, ...args], env, timeoutMs);
  const install = ['install', '-y', '--no-install-recommends'];
  // Only the download is ever cut short by a clock of ours: packages that are cut short while they are
  // unpacked leave a machine that can't install anything.
  const download = () => apt(lockMs + networkMs, ...install, '--download-only', ...packages);

  let trouble = await download();
  if (trouble !== null) {
    // The lists are absent, as in a new container, or too old. Where they can't be renewed, it shows below.
    const listsTrouble = await whileLocked(lockMs, () => apt(networkMs, 'update'));
    trouble = await download();
    if (trouble !== null) return listsTrouble === null ? trouble : `${listsTrouble}; ${trouble}`;
  }
  return await apt(lockMs + unpackMs, ...install, '--no-download', ...packages);
}

/** `apt-get update` doesn't wait for the lock of its lists by itself. */
async function whileLocked(lockMs: number, act: () => Promise<string | null>): Promise<string | null> {
  const deadline = performance.now() + lockMs;
  let trouble = await act();
  while (trouble !== null && /could not get lock/i.test(trouble) && performance.now() < deadline) {
    await sleep(1_000);
    trouble = await act();
  }
  return trouble;
}

async function runToTrouble(
  program: string,
  args: readonly string[],
  env: Environment,
  timeoutMs: number,
): Promise<string | null> {
  try {
    await run(program, args, { env, timeout: timeoutMs });
    return null;
  } catch (thrown) {
    const error = thrown as Error & { readonly killed?: boolean; readonly stderr?: string };
    const verb = args.includes('update') ? 'update' : 'install';
    if (error.killed) return `${program} ${verb} did not end within ${timeoutMs} ms`;
    const said = (error.stderr ?? '').trim().split('\n').slice(-4).join(' ');
    return `${program} ${verb}: ${said === '' ? error.message : said}`;
  }
}
