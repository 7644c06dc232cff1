import { once } from 'node:events';
import { residentMiB } from './bystander.ts';
import type { BuiltStage } from './stage.ts';

/**
 * Of a process that can be told to collect its garbage, since it listens for a debugger on a free port of this machine,
 * and that gives freed buffers back. By itself glibc raises the size from which it does so to that of the largest one that
 * was freed, and from then on keeps what lies below others that are in use (mallopt(3), M_MMAP_THRESHOLD).
 */
export const collectable = {
  NODE_OPTIONS: '--inspect=127.0.0.1:0',
  MALLOC_MMAP_THRESHOLD_: '32768',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** What a process has in memory once the garbage of its main thread is collected, in MiB. */
export interface KeptMemory {
  /** The main thread's objects that something still names, and the buffers outside of the heap that they hold. */
  readonly reachableMiB: number;
  /** What the system counts for all of it: code, other threads and free pieces between others, too. */
  readonly residentMiB: number;
}

/** Of `Runtime.getHeapUsage`, in bytes. */
interface HeapUsage {
  readonly usedSize: number;
  readonly embedderHeapUsedSize: number;
  readonly backingStorageSize: number;
}

const mebibyte = 2 ** 20;
const answerWithinMs = 30_000;

/**
 * Has the main thread of a gateway, which is one process, collect its garbage, and tells what is left. Without that,
 * its size is that of the last time it chose to: hundreds of MiB of buffers wait for it, more where the machine is busy.
 *
 * @param stage built with the environment `collectable`
 * @throws where it doesn't listen for a debugger, has ended, or doesn't answer within 30 s
 */
export async function keptMemory({ gateway, pid }: BuiltStage): Promise<KeptMemory> {
  const url = /Debugger listening on (ws:\S+)/.exec(gateway.output())?.[1];
  if (url === undefined) throw new Error(`the gateway has no debugger's address:\n${gateway.output()}`);
  const debug = new WebSocket(url);
  const isOver = new AbortController();
  debug.addEventListener('close', () => isOver.abort(new Error(`the gateway is gone:\n${gateway.output()}`)));
  const signal = AbortSignal.any([isOver.signal, AbortSignal.timeout(answerWithinMs)]);
  try {
    await once(debug, 'open', { signal });
    // What the first one finalizes lets go of more.
    await ask(debug, 'HeapProfiler.collectGarbage', signal);
    await ask(debug, 'HeapProfiler.collectGarbage', signal);
    const usage = (await ask(debug, 'Runtime.getHeapUsage', signal)) as HeapUsage;
    const reachable = usage.usedSize + usage.embedderHeapUsedSize + usage.backingStorageSize;
    return { reachableMiB: reachable / mebibyte, residentMiB: await residentMiB(pid) };
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    debug.close();
  }
}

async function ask(debug: WebSocket, method: string, signal: AbortSignal): Promise<unknown> {
  debug.send(JSON.stringify({ id: 1, method }));
  const [{ data }] = (await once(debug, 'message', { signal })) as [{ readonly data: string }];
  const answer = JSON.parse(data) as { readonly id?: number; readonly result?: unknown };
  if (answer.id !== 1 || answer.result === undefined) throw new Error(`${method}: ${data}`);
  return answer.result;
}
