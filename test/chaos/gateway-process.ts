import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type ServerProcess, startServerProcess } from '../support/services/server-process.ts';

export interface GatewayProcessOptions {
  readonly index: number;
  readonly port: number;
  /** Beyond what the harness sets itself. */
  readonly env: Readonly<Record<string, string>>;
  /** Where its logs and data are. */
  readonly folder: string;
}

/** A gateway that is started again whenever it ends, as a container would be. */
export interface GatewayProcess {
  readonly index: number;
  readonly port: number;
  /** Whether there is a process, ready or not. */
  readonly isRunning: boolean;
  isReady(): Promise<boolean>;
  /**
   * Starts it, and again and again until it stays, since it ends where a store is away.
   * @throws Error where it doesn't within two minutes
   */
  start(): Promise<void>;
  /** Like a power switch for the process. */
  kill(): Promise<void>;
  stop(): void;
  goOn(): void;
  /** Ends it for good, as an operator would. */
  end(): Promise<void>;
}

export const adminToken = 'chaos-admin-token-0123456789';

const entry = fileURLToPath(new URL('../../bin/tollgate.js', import.meta.url));
const startsAgainAfterMs = 500;
const looksEveryMs = 50;
/** Its start waits for stores that are away or stand still; what takes longer than this never comes. */
const readyWithinMs = 120_000;

export async function createGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const { index, port, folder } = options;
  const dataDir = join(folder, `gateway-${index}`);
  const logFile = join(folder, `gateway-${index}.log`);
  await mkdir(dataDir, { recursive: true });
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: process.env.HOME ?? '',
    DATA_DIR: dataDir,
    PORT: String(port),
    ADMIN_TOKEN: adminToken,
    DEMO: 'false',
    LOG_LEVEL: 'info',
    ...options.env,
  };
  let server: ServerProcess | null = null;
  let isMeantToRun = false;

  const spawn = () =>
    startServerProcess({
      program: '/bin/sh',
      args: ['-c', 'exec "$0" "$1" >>"$2" 2>&1', process.execPath, entry, logFile],
      cwd: folder,
      env,
      endSignal: 'SIGKILL',
    });

  /** @returns false where it ended before it was ready */
  async function becomesReady(started: ServerProcess, untilMs: number): Promise<boolean> {
    while (started.isRunning) {
      if (performance.now() > untilMs) throw new Error(`gateway ${index} did not get ready: see ${logFile}`);
      if (await asksReady(port)) return true;
      await sleep(looksEveryMs);
    }
    return false;
  }

  async function startUntilReady(): Promise<void> {
    isMeantToRun = true;
    const untilMs = performance.now() + readyWithinMs;
    while (isMeantToRun) {
      const started = await spawn();
      server = started;
      if (await becomesReady(started, untilMs)) return;
      if (performance.now() > untilMs) throw new Error(`gateway ${index} does not stay: see ${logFile}`);
      await sleep(startsAgainAfterMs);
    }
  }

  return {
    index,
    port,
    get isRunning() {
      return server?.isRunning ?? false;
    },
    isReady: () => asksReady(port),
    start: startUntilReady,
    kill: async () => {
      isMeantToRun = false;
      await server?.end('SIGKILL');
    },
    stop: () => server?.signal('SIGSTOP'),
    goOn: () => server?.signal('SIGCONT'),
    end: async () => {
      isMeantToRun = false;
      await server?.end('SIGTERM');
    },
  };
}

async function asksReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health/ready`, {
      signal: AbortSignal.timeout(2_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
