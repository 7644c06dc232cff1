import { once } from 'node:events';
import type { TestGateway } from '../support/gateway.ts';
import { residentMiB } from './bystander.ts';

/**
 * A process whose garbage can be collected on demand, since it listens for a debugger on a free port of this machine,
 * and which then gives it back: what glibc took for a large buffer it else keeps, once it has let go of one, for all
 * that are smaller (mallopt(3), M_MMAP_THRESHOLD).
 */
export const collectable = { NODE_OPTIONS: '--inspect=127.0.0.1:0', MALLOC_MMAP_THRESHOLD_: '131072' };

/** What a process still has in memory once its garbage is collected, in MiB. */
export interface KeptMemory {
  /** What its objects take, and the buffers outside of the heap that they hold. */
  readonly heldMiB: number;
  /** What the system counts for it: its code, the database's memory and free pieces between others, too. */
  readonly residentMiB: number;
}

const mebibyte = 2 ** 20;
const answerWithinMs = 30_000;

/**
 * Collects the garbage of a gateway and tells what is left. Without that, its size is that of the last time it chose
 * to collect: hundreds of MiB of buffers wait for it, more of them where the machine is busy.
 *
 * @param gateway started with the environment `collectable`
 * @throws where it doesn't listen for a debugger, or that doesn't answer within 30 s
 */
export async function keptMemory(gateway: TestGateway): Promise<KeptMemory> {
  const url = /Debugger listening on (ws:\S+)/.exec(gateway.output())?.[1];
  if (url === undefined) throw new Error(`the gateway has no debugger's address:\n${gateway.output()}`);
  const debug = new WebSocket(url);
  try {
    await once(debug, 'open', { signal: AbortSignal.timeout(answerWithinMs) });
    await ask(debug, 'HeapProfiler.collectGarbage');
    const { usedSize, embedderHeapUsedSize, backingStorageSize } = await ask(debug, 'Runtime.getHeapUsage');
    const held = Number(usedSize) + Number(embedderHeapUsedSize) + Number(backingStorageSize);
    return { heldMiB: held / mebibyte, residentMiB: await residentMiB(gateway.process.pid ?? 0) };
  } finally {
    debug.close();
  }
}

async function ask(debug: WebSocket, method: string): Promise<Readonly<Record<string, unknown>>> {
  debug.send(JSON.stringify({ id: 1, method }));
  const [message] = await once(debug, 'message', { signal: AbortSignal.timeout(answerWithinMs) });
  const answer = JSON.parse(String(message.data));
  if (answer.id !== 1 || answer.result === undefined) throw new Error(`${method}: ${String(message.data)}`);
  return answer.result;
}
