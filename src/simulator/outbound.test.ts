import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Outbound } from './outbound.ts';
import { exchange, send } from './raw-client.ts';
import { RecordingLog } from './request-log.ts';
import { type Simulator, startSimulator } from './simulator.ts';

let simulator: Simulator;
beforeEach(async () => {
  simulator = await startSimulator();
});
afterEach(() => simulator.close());

const chat = (directives: string, stream = true) => ({
  model: `sim-small?${directives}`,
  messages: [{ role: 'user', content: 'Hi' }],
  stream,
});
const endless = 'ttfb_ms=0&tokens_per_second=0&tokens=1000000';

/** Waits until a request has arrived and the condition holds of it; every wait of these tests is bounded by the runner alone. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

describe('a client that leaves is noticed at once', () => {
  test.each([
    ['as fast as it can', endless],
    ['between two tokens', 'ttfb_ms=0&tokens_per_second=1&tokens=100000'],
  ])('by a stream that sends %s', async (_, directives) => {
    await exchange(simulator.url, {
      body: chat(directives),
      leaveWhen: (arrived) => arrived.includes('data: '),
    });
    await simulator.requests.settled();
    expect(simulator.requests).toMatchObject({ aborted: 1, completed: 0, open: 0 });
    const { eventsSent, tokensSent } = simulator.requests.last!;
    expect(eventsSent).toBeGreaterThan(0);
    expect(tokensSent).toBeLessThan(100_000);
  });

  test.each([
    ['a stream waits for its first byte', 'ttfb_ms=600000', true],
    ['a body waits for its first byte', 'ttfb_ms=600000', false],
    ['a body is being generated', 'ttfb_ms=0&tokens_per_second=1&tokens=1000', false],
    ['the headers stall', 'ttfb_ms=0&fault=stall_headers', true],
    ['the headers stall, without a stream', 'ttfb_ms=0&fault=stall_headers', false],
  ])('while %s', async (_, directives, stream) => {
    const socket = send(simulator.url, { body: chat(directives, stream) });
    socket.on('error', () => {});
    await until(() => simulator.requests.count === 1);
    expect(simulator.requests.open).toBe(1);
    socket.destroy();
    await simulator.requests.settled();
    expect(simulator.requests.last).toMatchObject({
      outcome: 'aborted',
      status: null,
      bytesSent: 0,
      tokensSent: 0,
    });
  });

  test('and generates nothing more for it', async () => {
    await exchange(simulator.url, {
      body: chat(endless),
      leaveWhen: (arrived) => arrived.includes('data: '),
    });
    await simulator.requests.settled();
    const { tokensSent } = simulator.requests.last!;
    await sleep(50);
    expect(simulator.requests.last!.tokensSent).toBe(tokensSent);
  });
});

test('a wait for a client ends when it leaves', async () => {
  const log = new RecordingLog();
  const waits: Promise<void>[] = [];
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    const outbound = new Outbound(response, log.add({ method, path, query: '', headers, body: '' }), log);
    outbound.begin(200, {});
    waits.push(outbound.sleepUntil(performance.now() + 600_000));
    response.flushHeaders();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await exchange(`http://127.0.0.1:${port}`, { leaveWhen: () => true });
  await Promise.all(waits);
  expect(waits).toHaveLength(1);
  expect(log).toMatchObject({ aborted: 1, open: 0 });
  server.close();
});

test('a client that does not read is not sent more than the connection takes, and all of it once it reads', async () => {
  const socket = send(simulator.url, {
    body: chat('ttfb_ms=0&tokens_per_second=0&tokens=600&fault=big_events'),
  });
  socket.pause();
  await until(() => simulator.requests.last?.status === 200);
  let before = -1;
  while (simulator.requests.last!.bytesSent !== before) {
    before = simulator.requests.last!.bytesSent;
    await sleep(100);
  }
  expect(simulator.requests.last).toMatchObject({ outcome: 'open' });
  expect(before).toBeLessThan(602 * 65_536);
  socket.resume();
  await once(socket, 'close');
  expect(simulator.requests.last).toMatchObject({ outcome: 'completed', tokensSent: 600 });
  expect(simulator.requests.last!.bytesSent).toBe(602 * 65_536 + 'data: [DONE]\n\n'.length);
});

describe('closing', () => {
  test('ends what is open', async () => {
    const socket = send(simulator.url, { body: chat('ttfb_ms=0&fault=stall') });
    socket.on('error', () => {});
    const closed = once(socket, 'close');
    socket.resume();
    await until(() => simulator.requests.count === 1);
    await simulator.close();
    await closed;
    expect(simulator.requests.open).toBe(0);
  });

  test('lets open answers finish where there is time, and takes no new ones', async () => {
    const answer = exchange(simulator.url, { body: chat('ttfb_ms=50&tokens_per_second=200&tokens=20') });
    await until(() => simulator.requests.count === 1);
    const closed = simulator.close(600_000);
    expect((await exchange(simulator.url, { body: chat('') })).raw).toHaveLength(0);
    expect((await answer).isComplete).toBe(true);
    await closed;
    expect(simulator.requests).toMatchObject({ count: 1, completed: 1, aborted: 0 });
  });
});

test('bytes sent are the bytes that arrive', async () => {
  const body = chat('ttfb_ms=0&tokens_per_second=0&tokens=300');
  const whole = await exchange(simulator.url, { body });
  expect(simulator.requests.last!.bytesSent).toBe(whole.body.length);
  const plain = await exchange(simulator.url, { body: { ...body, stream: false } });
  expect(simulator.requests.last!.bytesSent).toBe(plain.body.length);
});
