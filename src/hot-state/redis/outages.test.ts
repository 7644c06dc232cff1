import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadTenant, plainKey, quotaProjection } from '../../../test/support/hot-state.ts';
import { perform, randomCommands, tenantOf } from '../../../test/support/random-hot-state.ts';
import { type RedisServer, startRedis } from '../../../test/support/services/redis.ts';
import { startTcpProxy, type TcpProxy } from '../../../test/support/services/tcp-proxy.ts';
import type { TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import { createMemoryHotState } from '../memory.ts';
import { connectRedis } from './connect.ts';
import { createRedisHotState, type RedisHotState } from './redis.ts';
import { loadScripts } from './scripts.ts';

const commandTimeoutMs = 300;
/** Behind a batch that times out, a command may wait as long again. */
const boundMs = 2 * commandTimeoutMs + 400;
const gone = { code: 'HOT_STATE_UNAVAILABLE' };
const tenantId = 'tenant-1' as TenantId;

let server: RedisServer;
let proxy: TcpProxy;
let undo: AsyncDisposableStack;

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  server = await startRedis();
  undo.defer(() => server.stop());
  proxy = await startTcpProxy(server.port);
  undo.defer(() => proxy.close());
});

afterEach(() => undo.disposeAsync());

async function open(now?: () => number): Promise<RedisHotState> {
  const client = await connectRedis({
    address: { kind: 'single', url: `redis://127.0.0.1:${proxy.port}` },
    commandTimeoutMs,
    onError: () => undefined,
  });
  undo.defer(() => client.disconnect());
  const run = await loadScripts(client);
  const hotState = createRedisHotState({ run, onFault: () => undefined, ...(now && { now }) });
  undo.defer(() => hotState.close());
  return hotState;
}

const check = (name: string | number) => ({
  tenantId,
  ...plainKey,
  traceId: `trace-${name}` as TraceId,
  holder: `holder-${name}` as TransactionId,
  holdAmount: nano(10n),
});

async function load(hotState: RedisHotState): Promise<void> {
  await loadTenant(hotState, { projection: quotaProjection({ balance: nano(1_000_000n) }) });
  expect(await hotState.check(check('first'))).toMatchObject({ kind: 'admitted' });
}

const noHoldsButTheFirst = (hotState: RedisHotState) =>
  expect
    .poll(() => hotState.look(tenantId).catch(() => null), { timeout: 10_000 })
    .toMatchObject({ held: 10n, openHolds: 1 });

it('refuses at once while Redis is gone, and is cold when a new one is there', async () => {
  const hotState = await open();
  await load(hotState);
  await server.stop();
  const began = performance.now();
  const answers = await Promise.allSettled(
    Array.from({ length: 500 }, (_, index) => hotState.check(check(index))),
  );
  expect(performance.now() - began).toBeLessThan(boundMs);
  for (const answer of answers) expect(answer).toMatchObject({ status: 'rejected', reason: gone });
  await expect(hotState.look(tenantId)).rejects.toMatchObject(gone);

  const restarted = await startRedis({ port: `${server.port}` });
  undo.defer(() => restarted.stop());
  await expect
    .poll(async () => await Promise.resolve(hotState.check(check('later'))).catch(() => null), {
      timeout: 10_000,
    })
    .toMatchObject({ kind: 'cold' });
});

it('refuses in bounded time while Redis hangs, and keeps no hold of what it refused', async () => {
  const hotState = await open();
  await load(hotState);
  process.kill(server.pid, 'SIGSTOP');
  const waits: number[] = [];
  const ask = async (name: string) => {
    const began = performance.now();
    await expect(hotState.check(check(name))).rejects.toMatchObject(gone);
    waits.push(performance.now() - began);
  };
  const asked = [ask('1'), ask('2')];
  await new Promise((resolve) => setTimeout(resolve, commandTimeoutMs / 2));
  await Promise.all([...asked, ask('3'), ask('4')]);
  process.kill(server.pid, 'SIGCONT');
  expect(Math.max(...waits)).toBeLessThan(boundMs);
  await noHoldsButTheFirst(hotState);
  expect(await hotState.check(check('5'))).toMatchObject({ kind: 'admitted' });
});

it('gives back a hold whose admission never arrived', async () => {
  const hotState = await open();
  await load(hotState);
  const direct = await connectRedis({
    address: { kind: 'single', url: server.url },
    onError: () => undefined,
  });
  undo.defer(() => direct.disconnect());
  proxy.replies = 'swallow';
  await expect(hotState.check(check('lost'))).rejects.toMatchObject(gone);
  const atRedis = createRedisHotState({ run: await loadScripts(direct), onFault: () => undefined });
  // Either it still stands, or the release went through and only its reply was lost.
  expect((await atRedis.look(tenantId))?.openHolds).toBeLessThanOrEqual(2);
  proxy.replies = 'pass';
  proxy.cutAll();
  await noHoldsButTheFirst(hotState);
  expect(await hotState.check(check('lost'))).toEqual({ kind: 'settled' });
});

it('comes to the same end when the reply to every command is lost once', async () => {
  let nowMs = 0;
  const clock = { now: () => nowMs, monotonic: () => nowMs };
  const memory = { hotState: createMemoryHotState({ clock }), tickets: new Map() };
  const redis = { hotState: await open(clock.now), tickets: new Map() };
  const tenants = new Set<TenantId>();
  for (const { command, nowMs: atMs } of randomCommands(7, 60)) {
    nowMs = atMs;
    if (command.kind === 'flush') continue;
    tenants.add(tenantOf(command));
    const expected = await perform(memory, command);
    // The command is sent again over a new connection: the first time has run by then.
    proxy.replies = 'cut';
    expect(await perform(redis, command)).toEqual(expected);
  }
  proxy.replies = 'pass';
  expect(tenants.size).toBeGreaterThan(2);
  for (const tenantId of tenants) {
    expect(await redis.hotState.look(tenantId)).toEqual(await memory.hotState.look(tenantId));
  }
});
