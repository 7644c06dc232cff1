import { afterEach, describe, expect, it } from 'vitest';
import { type WorkerEnd, WorkerPool, type WorkerPoolOptions, type WorkerProcess } from './worker-pool.ts';

/** A worker that does what the test says, and remembers what it was told. */
interface FakeWorker {
  readonly told: string[];
  listen(): void;
  end(how: string): void;
}

let pool: WorkerPool | null = null;
let workers: (FakeWorker & WorkerProcess)[];
let ends: WorkerEnd[];

function fakeWorker({ obeys }: { readonly obeys: boolean }): FakeWorker & WorkerProcess {
  const told: string[] = [];
  let onListening = () => {};
  let onEnd = (_: string) => {};
  return {
    pid: workers.length + 1,
    told,
    listen: () => onListening(),
    end: (how) => onEnd(how),
    onListening: (callback) => {
      onListening = callback;
    },
    onEnd: (callback) => {
      onEnd = callback;
    },
    metrics: async () => null,
    accept: () => told.push('accept'),
    drain: () => {
      told.push('drain');
      if (obeys) setImmediate(() => onEnd('exit code 0'));
    },
    kill: () => {
      told.push('kill');
      setImmediate(() => onEnd('SIGKILL'));
    },
  };
}

function open(options: Partial<WorkerPoolOptions> & { readonly obey?: boolean } = {}): WorkerPool {
  const { obey = true, ...rest } = options;
  workers = [];
  ends = [];
  pool = new WorkerPool({
    count: 2,
    fork: () => {
      const worker = fakeWorker({ obeys: obey });
      workers.push(worker);
      return worker;
    },
    onEnd: (end) => ends.push(end),
    drainsWithinMs: 20,
    firstPauseMs: 1,
    longestPauseMs: 4,
    ...rest,
  });
  return pool;
}

afterEach(async () => {
  await pool?.stop();
  pool = null;
});

const worker = async (number: number) => {
  await expect.poll(() => workers.length, { interval: 1 }).toBeGreaterThanOrEqual(number);
  return workers[number - 1]!;
};
const isPending = (promise: Promise<unknown>) =>
  Promise.race([promise.then(() => false), new Promise((resolve) => setTimeout(() => resolve(true), 10))]);

describe('the start', () => {
  it('is complete when all listen, and tells them so only when it is', async () => {
    const opened = open();
    workers[0]?.listen();
    expect(await isPending(opened.listening)).toBe(true);
    workers[1]?.listen();
    await opened.listening;
    expect(workers.map(({ told }) => told)).toEqual([[], []]);
    opened.accept();
    expect(workers.map(({ told }) => told)).toEqual([['accept'], ['accept']]);
  });

  it('fails when workers end again and again before they listen, and starts none after that', async () => {
    const opened = open();
    const failure = expect(opened.listening).rejects.toMatchObject({ code: 'INTERNAL' });
    for (let number = 1; number <= 5; number++) (await worker(number)).end('exit code 1');
    await failure;
    expect((await opened.failed).message).toContain('5 times in a row');
    const started = workers.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(workers).toHaveLength(started);
  });

  it('fails too when one of them listens and the others can not', async () => {
    const opened = open();
    const failure = expect(opened.listening).rejects.toThrow('5 times in a row');
    workers[0]?.listen();
    for (let number = 2; number <= 6; number++) (await worker(number)).end('exit code 1');
    await failure;
    await opened.stop();
    expect(workers[0]?.told).toEqual(['drain']);
  });
});

describe('a worker that ends', () => {
  async function complete(options: Parameters<typeof open>[0] = {}) {
    const opened = open(options);
    for (const each of workers) each.listen();
    await opened.listening;
    opened.accept();
    return opened;
  }

  it('is replaced by one that is told to accept', async () => {
    await complete();
    workers[0]?.end('SIGKILL');
    expect(ends).toMatchObject([{ pid: 1, how: 'SIGKILL' }]);
    const next = await worker(3);
    next.listen();
    expect(next.told).toEqual(['accept']);
  });

  it('is replaced after pauses that grow to a bound while it ends soon, and are short again after a sound one', async () => {
    await complete();
    for (let number = 2; number <= 6; number++) {
      const each = await worker(number);
      each.listen();
      each.end('SIGSEGV');
    }
    expect(ends.map(({ pauseMs }) => pauseMs)).toEqual([1, 2, 4, 4, 4]);
    await pool?.stop();
    await complete({ soundAfterMs: 0 });
    for (let number = 2; number <= 4; number++) {
      const each = await worker(number);
      each.listen();
      each.end('SIGSEGV');
    }
    expect(ends.map(({ pauseMs }) => pauseMs)).toEqual([1, 1, 1]);
  });

  it('is started again without an end while another one serves', async () => {
    const opened = await complete();
    workers[1]?.end('SIGKILL');
    for (let number = 3; number <= 12; number++) (await worker(number)).end('exit code 1');
    expect(await isPending(opened.failed)).toBe(true);
    expect(workers[0]?.told).toEqual(['accept']);
  });

  it('ends the whole where nobody serves any more and none can be started', async () => {
    const opened = await complete();
    workers[0]?.end('SIGKILL');
    workers[1]?.end('SIGKILL');
    for (let number = 3; number <= 7; number++) (await worker(number)).end('exit code 1');
    expect(await opened.failed).toMatchObject({ code: 'INTERNAL' });
  });
});

describe('the stop', () => {
  it('drains all, waits for them and starts none again', async () => {
    const opened = open();
    for (const each of workers) each.listen();
    expect(await opened.stop()).toBe(true);
    expect(workers.map(({ told }) => told)).toEqual([['drain'], ['drain']]);
    expect(ends).toEqual([]);
    expect(workers).toHaveLength(2);
  });

  it('kills who takes longer than the drain may, and says so', async () => {
    const opened = open({ obey: false });
    for (const each of workers) each.listen();
    expect(await opened.stop()).toBe(false);
    expect(workers.map(({ told }) => told)).toEqual([
      ['drain', 'kill'],
      ['drain', 'kill'],
    ]);
  });

  it('tells a worker again that listens only now', async () => {
    const opened = open({ obey: false, drainsWithinMs: 5_000 });
    const stopped = opened.stop();
    workers[0]?.listen();
    expect(workers[0]?.told).toEqual(['drain', 'drain']);
    for (const each of workers) each.end('exit code 0');
    expect(await stopped).toBe(true);
  });

  it('does not start what waited for its pause', async () => {
    const opened = open({ firstPauseMs: 5, longestPauseMs: 5 });
    workers[0]?.end('SIGKILL');
    await opened.stop();
    await new Promise((resolve) => setTimeout(resolve, 15));
    expect(workers).toHaveLength(2);
  });
});
