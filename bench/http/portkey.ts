import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../test/support/services/free-port.ts';
import { type BenchServer, measuresOf, startProgram } from './server.ts';

const run = promisify(execFile);
const installsWithinMs = 180_000;

/** Another gateway, which bills nothing. It is no dependency of this project: it is installed for one run. */
export const portkeyPackage = '@portkey-ai/gateway@1.15.2';

export interface InstalledPortkey {
  readonly entry: string;
  remove(): Promise<void>;
}

/** @throws Error where it can't be installed here */
export async function installPortkey(): Promise<InstalledPortkey> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-portkey-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    // As it is published: its scripts, which are not needed to run it, are not run.
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', portkeyPackage];
    await run('npm', args, { cwd: folder, timeout: installsWithinMs });
    return { entry: join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js'), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

export async function startPortkey(
  { entry }: InstalledPortkey,
  { upstreamUrl }: { readonly upstreamUrl: string },
): Promise<BenchServer> {
  const port = await freePort();
  const { pid, stop } = await startProgram(() => ({
    entry,
    args: ['--headless', `--port=${port}`],
    env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost' },
    readyWhen: /is running at|ready for connections|http:\/\/localhost/i,
  }));
  return {
    url: `http://127.0.0.1:${port}/v1/chat/completions`,
    headers: {
      authorization: 'Bearer upstream',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': upstreamUrl,
    },
    ...measuresOf(pid),
    stop,
  };
}
