import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ServerProcessOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  /** What ends it at once, with every process that it has started. */
  readonly endSignal: 'SIGKILL' | 'SIGQUIT';
  /** A folder that nobody needs when this process is gone. */
  readonly temporaryFolder?: string;
}

export interface ServerProcess {
  readonly pid: number;
  readonly isRunning: boolean;
  /** The end of what it has printed. */
  output(): string;
  /** @throws Error with what it printed, where it has ended */
  requireRunning(): void;
  /** One that has ended needs no signal any more. */
  signal(name: NodeJS.Signals): void;
  /** Sends the signal that ends it, by default at once, and waits; one that doesn't end is killed. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

const keptOutput = 20_000;
const endsWithinMs = 15_000;

/**
 * Waits for the other end of its input to close, which it does however this process ends, then does what
 * this process would have done. A handler of this process' own would not run when it is killed.
 */
const guardScript = `
read -r _
kill -CONT "$1"; kill -"$2" "$1"
tries=0
while kill -0 "$1" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -KILL "$1" 2>/dev/null
if [ -n "$3" ]; then rm -rf -- "$3"; fi
`;

/**
 * A server that doesn't outlive this process. It is in a session of its own, so that a Ctrl-C in a
 * terminal is this process' alone to act on.
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { program, args, endSignal, temporaryFolder = '', ...spawning } = options;
  const child = spawn(program, args, { ...spawning, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  await once(child, 'spawn');
  const pid = child.pid!;
  const guard = spawn(
    'sh',
    ['-c', guardScript, 'guard', `${pid}`, endSignal.replace('SIG', ''), temporaryFolder],
    { detached: true, stdio: ['pipe', 'ignore', 'ignore'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output = `${output}${chunk}`.slice(-keptOutput);
    });
  }
  // Its number may be another process' from now on: the guard must not touch it.
  const ended = once(child, 'exit').then(() => guard.kill('SIGKILL'));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    pid,
    get isRunning() {
      return isRunning();
    },
    output: () => output,
    requireRunning: () => {
      if (!isRunning())
        throw new Error(`${program} ended (${child.signalCode ?? child.exitCode}):\n${output}`);
    },
    signal: (name) => {
      if (isRunning()) child.kill(name);
    },
    end: async (signal = endSignal) => {
      if (isRunning()) {
        child.kill(signal);
        // A frozen one would take notice of SIGKILL alone.
        child.kill('SIGCONT');
      }
      const waiting = new AbortController();
      const late = sleep(endsWithinMs, undefined, { signal: waiting.signal }).then(
        () => child.kill('SIGKILL'),
        () => undefined,
      );
      await Promise.race([ended, late]);
      waiting.abort();
      await ended;
    },
  };
}
