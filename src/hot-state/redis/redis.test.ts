import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { loadTenant, plainKey, quotaProjection, ticketFor } from '../../../test/support/hot-state.ts';
import { startRedis } from '../../../test/support/services/redis.ts';
import { failOnFault, useRedis } from '../../../test/support/use-redis.ts';
import type { Clock } from '../../domain/clock.ts';
import type { TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import { periodAt, type QuotaProjection } from '../../domain/quota.ts';
import { describeHotState } from '../hot-state.contract.ts';
import { connectRedis, unfitness } from './connect.ts';
import { createRedisHealth } from './health.ts';
import { sessionKey, tenantKeys } from './keys.ts';
import { createRedisHotState, type RedisHotState } from './redis.ts';
import { readScriptTexts } from './script-texts.ts';
import { loadScripts, type RunScript } from './scripts.ts';

const redis = useRedis();

const empty = (run: RunScript) => async (clock: Clock) => {
  await redis.client.flushall();
  return createRedisHotState({ run, now: clock.now, onFault: failOnFault });
};

/** As after a client's timeout: the answer that counts is that of the second time. */
const runTwice: RunScript = async (...call) => {
  await redis.run(...call);
  return await redis.run(...call);
};

describeHotState(
  'Redis',
  empty((...call) => redis.run(...call)),
);
describeHotState('Redis with every command sent twice', empty(runTwice));

const tenantId = 'tenant-1' as TenantId;

const projection = (changes: Partial<QuotaProjection> = {}) =>
  quotaProjection({ timeZone: 'Pacific/Kiritimati', dailyQuota: 10, monthlyQuota: null, ...changes });

const check = (name: string, amount = 1n) => ({
  tenantId,
  ...plainKey,
  traceId: `trace-${name}` as TraceId,
  holder: `holder-${name}` as TransactionId,
  holdAmount: nano(amount),
});

/** One that follows Redis' own clock, as in production. */
async function loaded(changes: Partial<QuotaProjection> = {}): Promise<RedisHotState> {
  await redis.client.flushall();
  const hotState = createRedisHotState({ run: redis.run, onFault: failOnFault });
  await loadTenant(hotState, { projection: projection(changes) });
  return hotState;
}

it("counts a request in the day that Redis' clock and the tenant's time zone say", async () => {
  const hotState = await loaded();
  const days = [periodAt(Date.now(), 'Pacific/Kiritimati').day];
  const answer = await hotState.check(check('1'));
  days.push(periodAt(Date.now(), 'Pacific/Kiritimati').day);
  expect(answer).toMatchObject({ kind: 'admitted', remaining: { dailyRequests: 9 } });
  expect(days).toContain(answer.kind === 'admitted' ? answer.periodDay : null);
});

it('follows a tenant into another time zone', async () => {
  const hotState = await loaded();
  await hotState.check(check('1'));
  await hotState.project(projection({ version: 2, timeZone: 'Pacific/Pago_Pago' }));
  // 25 hours lie between the two: it is never the same day in both.
  expect(await hotState.check(check('2'))).toMatchObject({
    kind: 'admitted',
    periodDay: periodAt(Date.now(), 'Pacific/Pago_Pago').day,
  });
});

it('is cold after FLUSHALL, and takes its holds from the ledger again', async () => {
  const hotState = await loaded();
  await hotState.check(check('1', 60n));
  await redis.client.flushall();
  expect(await hotState.check(check('2'))).toMatchObject({ kind: 'cold' });
  expect(await hotState.look(tenantId)).toBeUndefined();
  await loadTenant(hotState, {
    projection: projection(),
    openPendings: [
      {
        transactionId: check('1').holder,
        apiKeyId: plainKey.apiKeyId,
        traceId: check('1').traceId,
        holdAmount: nano(60n),
        holdTokens: 0,
        periodDay: '2026-11-23',
      },
    ],
  });
  expect(await hotState.look(tenantId)).toMatchObject({ held: 60n, openHolds: 1 });
  expect(await hotState.check(check('2', 41n))).toMatchObject({ kind: 'denied', limit: 'balance' });
  expect(await hotState.check(check('2', 40n))).toMatchObject({ kind: 'admitted' });
});

it('is cold after a promotion: a replica may lack the last holds', async () => {
  const hotState = await loaded();
  await hotState.check(check('1', 60n));
  const ticket = await ticketFor(hotState, 'tenant-2' as TenantId);
  await redis.client.call('REPLICAOF', '127.0.0.1', '1');
  await redis.client.call('REPLICAOF', 'NO', 'ONE');
  expect(await hotState.look(tenantId)).toBeUndefined();
  expect(await hotState.check(check('2'))).toMatchObject({ kind: 'cold' });
  await loadTenant(hotState, { projection: projection() });
  expect(await hotState.look(tenantId)).toMatchObject({ held: 0n, openHolds: 0 });
  // A snapshot that was asked for before it may lack them as well.
  const other = { projection: projection({ tenantId: 'tenant-2' as TenantId }), openPendings: [] };
  await hotState.load({ kind: 'snapshot', ...other }, ticket!);
  expect(await hotState.look('tenant-2' as TenantId)).toBeUndefined();
});

it('is cold after a restart, although the data came back from the disk', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tollgate-redis-'));
  const look = async (changes: (hotState: RedisHotState, client: Redis) => Promise<void>) => {
    const server = await startRedis({ dir: directory, dbfilename: 'dump.rdb' });
    const client = new Redis(server.url);
    try {
      const hotState = createRedisHotState({ run: await loadScripts(client), onFault: failOnFault });
      await changes(hotState, client);
    } finally {
      client.disconnect();
      await server.stop();
    }
  };
  await look(async (hotState, client) => {
    await loadTenant(hotState, { projection: projection() });
    await client.save();
    await hotState.check(check('1', 60n));
  });
  await look(async (hotState, client) => {
    expect(await client.exists(...tenantKeys({ tenantId, apiKeyId: plainKey.apiKeyId }))).toBe(1);
    expect(await hotState.look(tenantId)).toBeUndefined();
    expect(await hotState.check(check('2'))).toMatchObject({ kind: 'cold' });
  });
  await rm(directory, { recursive: true });
});

it('forgets a tenant that was idle for a day, with all that is kept of it', async () => {
  const hotState = await loaded();
  await hotState.check(check('1', 60n));
  await hotState.release(check('1'));
  for (const redisKey of tenantKeys({ tenantId, apiKeyId: plainKey.apiKeyId })) {
    if ((await redis.client.exists(redisKey)) === 1)
      expect(await redis.client.pttl(redisKey)).toBeGreaterThan(0);
  }
});

it('needs no more rights than the documentation names', async () => {
  await redis.client.flushall();
  const docs = await readFile(new URL('../../../docs/production.md', import.meta.url), 'utf8');
  const [, commands, keys] = /With an ACL: `([^`]+)`, on `([^`]+)`/.exec(docs)!;
  const rights = [...commands!.split(' '), ...keys!.split(' ')];
  await redis.client.call('ACL', 'SETUSER', 'tollgate', 'reset', 'on', '>planted', ...rights);
  const url = redis.server.url.replace('//', '//tollgate:planted@');
  const client = await connectRedis({ address: { kind: 'single', url }, onError: failOnFault });
  try {
    const hotState = createRedisHotState({ run: await loadScripts(client), onFault: failOnFault });
    await loadTenant(hotState, { projection: projection() });
    expect(await hotState.check(check('1'))).toMatchObject({ kind: 'admitted' });
    await client.publish('gw:catalog:changed', 'test');
    expect(await createRedisHealth(client, readScriptTexts()).scripts()).toBeDefined();
    await expect(client.call('CONFIG', 'GET', '*')).rejects.toThrow(/NOPERM/);
  } finally {
    client.disconnect();
  }
});

it('loads a tenant that has more open requests than a command can have arguments', async () => {
  await redis.client.flushall();
  const address = { kind: 'single', url: redis.server.url } as const;
  const client = await connectRedis({ address, commandTimeoutMs: 60_000, onError: failOnFault });
  onTestFinished(() => client.disconnect());
  const hotState = createRedisHotState({ run: await loadScripts(client), onFault: failOnFault });
  const openPendings = Array.from({ length: 30_000 }, (_, index) => ({
    transactionId: `holder-${index}` as TransactionId,
    apiKeyId: plainKey.apiKeyId,
    traceId: `trace "${index}"` as TraceId,
    holdAmount: nano(2n ** 53n + 1n),
    holdTokens: 0,
    periodDay: index % 2 === 0 ? '2026-11-23' : '2026-11-24',
  }));
  await loadTenant(hotState, { projection: projection(), openPendings });
  expect(await hotState.look(tenantId)).toMatchObject({
    openHolds: 30_000,
    held: 30_000n * (2n ** 53n + 1n),
  });
  await hotState.release({
    tenantId,
    ...plainKey,
    traceId: openPendings[0]!.traceId,
    holder: openPendings[0]!.transactionId,
  });
  expect(await hotState.look(tenantId)).toMatchObject({
    openHolds: 29_999,
    held: 29_999n * (2n ** 53n + 1n),
  });
});

it('begins anew where only the holds of a tenant are left', async () => {
  const hotState = await loaded();
  await hotState.check(check('1', 60n));
  await redis.client.del(tenantKeys({ tenantId, apiKeyId: plainKey.apiKeyId })[0]);
  await hotState.release(check('1', 60n));
  await loadTenant(hotState, { projection: projection() });
  expect(await hotState.look(tenantId)).toMatchObject({ held: 0n, openHolds: 0 });
});

it('loads its scripts again where they are gone', async () => {
  const hotState = await loaded();
  await redis.client.script('FLUSH');
  expect(await hotState.check(check('1'))).toMatchObject({ kind: 'admitted' });
});

it('releases holds, and takes charges, when Redis has no memory left', async () => {
  const hotState = await loaded();
  await hotState.check(check('1', 60n));
  await hotState.check(check('2', 10n));
  await redis.client.config('SET', 'maxmemory', '1');
  try {
    await expect(hotState.check(check('3'))).rejects.toMatchObject({ code: 'HOT_STATE_UNAVAILABLE' });
    await hotState.release(check('1'));
    await hotState.deduct(check('2'), projection({ version: 2, balance: nano(95n) }), null);
  } finally {
    await redis.client.config('SET', 'maxmemory', '0');
  }
  expect(await hotState.look(tenantId)).toMatchObject({
    projection: { balance: 95n },
    held: 0n,
    openHolds: 0,
  });
});

it('knows an answer that no script gives for what it is', async () => {
  const hotState = createRedisHotState({ run: async () => ['admitted'], onFault: failOnFault });
  await expect(hotState.check(check('1'))).rejects.toMatchObject({ code: 'INTERNAL' });
});

it('keeps all keys of a tenant in one slot', () => {
  for (const redisKey of tenantKeys({ tenantId: 'a}b' as TenantId, apiKeyId: plainKey.apiKeyId }))
    expect(redisKey).toMatch(/^[^{]+\{a\}b\}(:[^{}]+)?$/);
});

it('refuses a Redis that may drop holds, and says what to do', async () => {
  const server = await startRedis({ 'maxmemory-policy': 'allkeys-lru' });
  try {
    const connecting = connectRedis({ address: { kind: 'single', url: server.url }, onError: failOnFault });
    await expect(connecting).rejects.toThrow(/allkeys-lru.*redis-cli config set maxmemory-policy noeviction/);
  } finally {
    await server.stop();
  }
});

it('refuses a Redis that is too old', () => {
  expect(unfitness('# Server\r\nredis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\n')).toMatch(
    /7 or newer/,
  );
  expect(unfitness('redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\n')).toBeNull();
  expect(unfitness('')).toMatch(/version unknown/);
});

it('keeps a tenant, and its minutes, as compactly as Redis can', async () => {
  const hotState = await loaded({ rpmLimit: 10, tpmLimit: 1_000 });
  await hotState.check({ ...check('1'), tokens: 100 });
  const owner = { tenantId, apiKeyId: plainKey.apiKeyId };
  const [quota, , , , requests, tokens] = tenantKeys(owner);
  for (const redisKey of [quota, requests!, tokens!])
    expect(await redis.client.object('ENCODING', redisKey)).toBe('listpack');
});

it('takes a session back from a process that died', async () => {
  const hotState = await loaded();
  const lock = { tenantId, sessionId: 'chat {1}', holder: check('1').holder };
  await hotState.lockSession(lock);
  expect(await redis.client.pttl(sessionKey(lock))).toBeGreaterThan(0);
});

it('has the money of late holds again for all that is asked in one turn, however many are late', async () => {
  await redis.client.flushall();
  let nowMs = Date.now();
  const hotState = createRedisHotState({ run: redis.run, now: () => nowMs, onFault: failOnFault });
  await loadTenant(hotState, { projection: quotaProjection({ balance: nano(5_000n) }) });
  const late = Array.from({ length: 500 }, (_, index) => hotState.check(check(`late-${index}`, 10n)));
  for (const { kind } of await Promise.all(late)) expect(kind).toBe('admitted');
  nowMs += 31_000;
  const asked = Array.from({ length: 64 }, (_, index) => hotState.check(check(`new-${index}`, 60n)));
  for (const { kind } of await Promise.all(asked)) expect(kind).toBe('admitted');
});
