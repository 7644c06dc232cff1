import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type InstallBounds,
  postgresPrograms,
  programPath,
  prometheusPrograms,
  providePrograms,
  redisPrograms,
  search,
} from './find-programs.ts';

/** As the machine's, but for where Debian has them, so that only what a test puts there is found. */
const postgres = { ...postgresPrograms, otherFolders: async () => [] };
const redis = { ...redisPrograms, otherFolders: async () => [] };
const bounds: InstallBounds = { lockMs: 0, networkMs: 10_000, unpackMs: 10_000 };
/** Shell scripts that stand for programs need the system's own. */
const system = process.env.PATH ?? '';

let folder: string;
let environment: Record<string, string | undefined>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-programs-'));
  environment = { PATH: folder };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function script(name: string, body: string, into = folder): Promise<void> {
  await mkdir(into, { recursive: true });
  await writeFile(join(into, name), `#!/bin/sh\nPATH='${system}'\n${body}\n`);
  await chmod(join(into, name), 0o755);
}

const redisOf = (version: string, into?: string) =>
  script('redis-server', `echo 'Redis server v=${version} sha=00000000:0 malloc=libc bits=64'`, into);

describe('the programs of the tests', () => {
  it('reach every worker by its environment', async () => {
    for (const wanted of [postgresPrograms, redisPrograms, prometheusPrograms]) {
      const handedOver = process.env[wanted.folderVariable];
      expect(handedOver).toMatch(/^\//);
      expect(await programPath(wanted)).toBe(join(handedOver!, wanted.programs[0]));
    }
  });

  it('are those on the PATH that are new enough, behind older ones', async () => {
    const newer = join(folder, 'newer');
    await redisOf('6.2.14');
    await redisOf('10.0.1', newer);
    environment.PATH = `${folder}:${newer}`;
    expect(await search(redis, environment)).toEqual({ kind: 'found', folder: newer });
  });

  it('are those of a named folder before the PATH', async () => {
    const named = join(folder, 'named');
    await redisOf('7.0.15');
    await redisOf('7.0.15', named);
    environment.TEST_REDIS_FOLDER = named;
    expect(await search(redis, environment)).toEqual({ kind: 'found', folder: named });
  });

  it('are found beside the PATH too', async () => {
    await redisOf('7.2.0');
    const wanted = { ...redisPrograms, otherFolders: async () => [folder] };
    expect(await search(wanted, { PATH: '' })).toEqual({ kind: 'found', folder });
  });

  it('count as missing where one of them is', async () => {
    await script('postgres', "echo 'postgres (PostgreSQL) 17.2'");
    expect(await search(postgres, environment)).toEqual({ kind: 'missing', unfit: [] });
    await script('initdb', 'exit 0');
    expect(await search(postgres, environment)).toEqual({ kind: 'found', folder });
  });
});

describe('what can not be found', () => {
  const provide = () => providePrograms([postgres, redis], { environment, mayInstall: false });

  it('is told all at once, with what was too old and what to install', async () => {
    await redisOf('6.2.14');
    await script('postgres', "echo 'postgres (PostgreSQL) 9.6.24'");
    await script('initdb', 'exit 0');
    const told = await provide().catch((error) => error.message);
    expect(told).toContain(`Redis 7 or newer (redis-server): ${folder}/redis-server is version 6.2.14`);
    expect(told).toContain(`Postgres 15 or newer (postgres, initdb): ${folder}/postgres is version 9.6.24`);
    expect(told).toContain('apt-get install postgresql redis-server');
    expect(told).toContain('brew install postgresql@17 redis');
  });

  it('includes a program that does not run', async () => {
    await script('redis-server', 'exit 1');
    await expect(provide()).rejects.toThrow(`${folder}/redis-server tells no version`);
  });

  it('is not installed by whoever may not', async () => {
    await script('apt-get', `touch ${folder}/asked`);
    await expect(provide()).rejects.toThrow('none was found');
    await expect(rm(join(folder, 'asked'))).rejects.toThrow('ENOENT');
  });
});

describe('installing', () => {
  const provide = (changes: Partial<InstallBounds> = {}) =>
    providePrograms([redis], { environment, mayInstall: true, bounds: { ...bounds, ...changes } });
  /** The stand-in of apt puts the program beside itself. */
  const there = '"$(dirname "$0")/redis-server"';
  const installs = `printf '#!/bin/sh\\necho Redis server v=7.0.15\\n' > ${there}; chmod +x ${there}`;

  it('asks apt for what is missing, and finds it then', async () => {
    await script('apt-get', `case "$*" in *--no-download*redis-server) ${installs};; esac`);
    await provide();
    expect(environment.TEST_REDIS_FOLDER).toBe(folder);
  });

  it('renews the lists of packages where they do not have it', async () => {
    await script(
      'apt-get',
      `case "$*" in *update) touch ${folder}/lists;;
       *) [ -e ${folder}/lists ] || { echo 'E: Unable to locate package redis-server' >&2; exit 100; };; esac
       case "$*" in *--no-download*) ${installs};; esac`,
    );
    await provide();
    expect(environment.TEST_REDIS_FOLDER).toBe(folder);
  });

  it('waits for the lock of the lists, which another apt holds', async () => {
    await script(
      'apt-get',
      `case "$*" in *update) [ -e ${folder}/once ] && touch ${folder}/lists;
         touch ${folder}/once; [ -e ${folder}/lists ] ||
         { echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1' >&2; exit 100; };;
       *) [ -e ${folder}/lists ] || exit 100;; esac
       case "$*" in *--no-download*) ${installs};; esac`,
    );
    await provide({ lockMs: 10_000 });
    expect(environment.TEST_REDIS_FOLDER).toBe(folder);
  });

  it('fails with what apt says of both, where the network is away', async () => {
    await script(
      'apt-get',
      `case "$*" in *update) echo 'E: Temporary failure resolving deb.example' >&2;;
       *) echo 'E: Unable to locate package redis-server' >&2;; esac; exit 100`,
    );
    await expect(provide()).rejects.toThrow(
      /brew install redis.*Installing it failed: .*Temporary failure resolving.*Unable to locate/s,
    );
  });

  it('ends an apt that hangs', async () => {
    await script('apt-get', 'exec sleep 600');
    await expect(provide({ networkMs: 100 })).rejects.toThrow(/did not end within 100 ms/);
  });

  it('fails where apt brings one that is too old', async () => {
    await script(
      'apt-get',
      `printf '#!/bin/sh\\necho Redis server v=6.0.16\\n' > ${folder}/redis-server; chmod +x ${folder}/redis-server`,
    );
    await expect(provide()).rejects.toThrow(/redis-server is version 6\.0\.16/);
  });

  it('fails where there is no apt', async () => {
    await expect(provide()).rejects.toThrow(/Installing it failed: .*apt-get/);
  });
});
