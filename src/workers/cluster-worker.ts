import cluster from 'node:cluster';
import type { WorkerProcess } from './worker-pool.ts';

/** Other programs start us by node's cluster too, to serve on our own: a worker of ours is marked. */
const mark = 'TOLLGATE_WORKER';

const messages = ['accept', 'drain', 'metrics'] as const;
type Message = (typeof messages)[number];

/** What a worker says to its supervisor. */
interface Told {
  readonly metrics: unknown;
}

function isTold(message: unknown): message is Told {
  return typeof message === 'object' && message !== null && 'metrics' in message;
}

/** Starts this program once more, as a worker that listens on `port` together with the others. */
export function forkWorker(port: number): WorkerProcess {
  const worker = cluster.fork({ [mark]: '1', PORT: String(port) });
  const send = (message: Message) => {
    // One that ends in this moment can't be told any more, and needn't be.
    if (worker.isConnected()) worker.send(message, () => undefined);
  };
  // A message or a start that fails: the end is what counts, and it comes.
  worker.on('error', () => undefined);
  let asking: PromiseWithResolvers<unknown> | null = null;
  worker.on('message', (message: unknown) => {
    if (isTold(message)) asking?.resolve(message.metrics);
    asking = null;
  });
  return {
    metrics: () => {
      if (!worker.isConnected()) return Promise.resolve(null);
      // What was asked while it began is lost, and a late answer to it is as good as one to this.
      asking?.resolve(null);
      asking = Promise.withResolvers();
      send('metrics');
      return asking.promise;
    },
    pid: worker.process.pid,
    onListening: (callback) => worker.once('listening', callback),
    onEnd: (callback) => {
      let ended = false;
      const end = (how: string) => {
        if (!ended) callback(how);
        ended = true;
      };
      worker.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
      worker.process.once('error', (error) => {
        if (worker.process.pid === undefined) end(error.message);
      });
    },
    accept: () => send('accept'),
    drain: () => send('drain'),
    kill: () => void worker.process.kill('SIGKILL'),
  };
}

/** What a worker hears of its supervisor. */
export interface Supervisor {
  /** Resolves when the start is complete. */
  readonly accept: Promise<void>;
  /** Resolves when the worker shall drain and end: it is told so, or the supervisor is gone. */
  readonly drain: Promise<void>;
  /** From now on it is told the metrics whenever it asks; until then it is told that there are none. */
  giveMetrics(values: () => Promise<unknown>): void;
}

/** Null in a process that isn't a worker of ours. Asked first of all: what is told before is not heard. */
export function listenToSupervisor(): Supervisor | null {
  const { worker } = cluster;
  if (worker === undefined || process.env[mark] === undefined) return null;
  const heard = { accept: Promise.withResolvers<void>(), drain: Promise.withResolvers<void>() };
  let valuesOf: () => Promise<unknown> = async () => [];
  const tellMetrics = async () => {
    const told: Told = { metrics: await valuesOf() };
    if (process.connected) process.send?.(told, undefined, undefined, () => undefined);
  };
  process.on('message', (message: unknown) => {
    const known = messages.find((name) => name === message);
    // A supervisor that gets no answer goes on with what it was told before.
    if (known === 'metrics') void tellMetrics().catch(() => undefined);
    else if (known !== undefined) heard[known].resolve();
  });
  // What node itself says to a supervisor that is gone fails, and unheard that would end the process: the
  // disconnection follows, and is what counts.
  worker.on('error', () => undefined);
  worker.on('disconnect', () => {
    // Without this mark node ends a worker at once when its supervisor is gone, and cuts what runs.
    worker.exitedAfterDisconnect = true;
    heard.drain.resolve();
  });
  return {
    accept: heard.accept.promise,
    drain: heard.drain.promise,
    giveMetrics: (values) => {
      valuesOf = values;
    },
  };
}
