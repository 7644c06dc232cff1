import { once } from 'node:events';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';

const module = new URL('./thread-priority.ts', import.meta.url).href;

/** A thread that goes behind, and tells its own priority on its system. */
const code = `
  import { readlinkSync } from 'node:fs';
  import { getPriority } from 'node:os';
  import { parentPort } from 'node:worker_threads';
  import { goBehindTheEventLoop } from ${JSON.stringify(module)};
  goBehindTheEventLoop();
  const threadId = process.platform === 'linux' ? readlinkSync('/proc/thread-self').split('/').at(-1) : 0;
  parentPort.postMessage(getPriority(Number(threadId)));
`;

it('a thread goes behind the event loop, which keeps its place', async () => {
  const before = getPriority();
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const [priority] = await once(worker, 'message');
  await worker.terminate();
  if (process.platform === 'linux') expect(priority).toBeGreaterThan(before);
  expect(getPriority()).toBe(before);
});
