import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addTenant, type TestTenant } from '../support/gateway.ts';
import { askRedis } from '../support/services/ask-redis.ts';
import { alertRules, quickRules } from './alert-rules.ts';
import { buildStage, type Load, type OperationsStage } from './stage.ts';

// Every alert of ops/prometheus, seen firing from a real fault by a real Prometheus: the very rules, with all of their
// windows and waits divided.

const timesFaster = 40;
const scrapeEveryMs = 250;
/** Of a process: few, so that some idle streams come near. */
const maxRequests = 60;
const idleStreams = 52;
const good = [{ model: 'good' }, { model: 'good', stream: true }];

let stage: OperationsStage;
let bystander: TestTenant;
/** Every alert that has been seen firing. */
const seen = new Set<string>();

beforeAll(async () => {
  const rules = await quickRules(timesFaster);
  stage = await buildStage({
    rules,
    scrapeEveryMs,
    env: { MAX_REQUESTS: String(maxRequests), RECONCILE_SECONDS: '1' },
  });
  bystander = await addTenant(stage.gateways[0]);
}, 120_000);
afterAll(() => stage.stop());

async function look(): Promise<ReadonlySet<string>> {
  const alerts = await stage.prometheus.alerts().catch(() => []);
  const firing = alerts.filter(({ state }) => state === 'firing').map(({ name }) => name);
  for (const name of firing) seen.add(name);
  return new Set(firing);
}

async function untilSeen(...names: readonly string[]): Promise<void> {
  const missing = async () => {
    await look();
    return names.filter((name) => !seen.has(name));
  };
  await expect.poll(missing, { timeout: 150_000, interval: 200 }).toEqual([]);
}

/** What one fault has set off is over before the next one. */
async function untilSilent(): Promise<void> {
  const firing = async () => [...(await look())].filter((name) => name !== 'TollgateOrphansSettled');
  await expect.poll(firing, { timeout: 120_000, interval: 200 }).toEqual([]);
}

/** A load that goes on until the test of it is over. */
function during(bodies: Parameters<OperationsStage['load']>[0]): AsyncDisposable & Load {
  const load = stage.load(bodies);
  return { ...load, [Symbol.asyncDispose]: () => load.stop() };
}

it('fires nothing while all is well', { timeout: 60_000 }, async () => {
  const load = stage.load([{ model: 'good', stream: true }]);
  for (let second = 0; second < 10; second++) {
    await sleep(1_000);
    await look();
  }
  await load.stop();
  expect([...seen]).toEqual([]);
});

it('tells of providers that fail, that say no usage and that count otherwise, and of limits', {
  timeout: 200_000,
}, async () => {
  await using _ = during([
    { model: 'failing' },
    { model: 'silent', stream: true },
    { model: 'miscounting', stream: true },
    { model: 'miscounting', stream: true },
  ]);
  const poor = setInterval(() => {
    for (let turn = 0; turn < 6; turn++) void stage.ask(turn, { model: 'good' }, stage.poor);
  }, 150);
  try {
    await untilSeen(
      'TollgateUpstreamFailing',
      'TollgateUsageMissing',
      'TollgateTokenCountInaccurate',
      'TollgateManyRefusals',
    );
  } finally {
    clearInterval(poor);
  }
});

it('tells of a process that serves nearly as many as it can', { timeout: 200_000 }, async () => {
  const leaving = new AbortController();
  const idle = Array.from({ length: idleStreams }, () =>
    stage.ask(0, { model: 'slow', stream: true }, stage.tenant, leaving.signal),
  );
  await untilSeen('TollgateQueueNearlyFull');
  leaving.abort();
  await Promise.all(idle);
});

it('tells of a transaction that nobody can close, and of hot state that is not what the ledger says', {
  timeout: 300_000,
}, async () => {
  await stage.ask(0, { model: 'good' }, bystander);
  // Whatever it is repaired to.
  const spoil = () =>
    askRedis(stage.redis, (redis) =>
      redis.hincrby(`gw:quota:tenant:{${bystander.id}}`, 'balance', 5_000_000_000),
    );
  const spoiling = setInterval(() => void spoil().catch(() => undefined), 200);
  const client = new Client({ connectionString: stage.databaseUrl });
  await client.connect();
  try {
    await client.query(
      `INSERT INTO billing_transaction (tenant_id, id, api_key_id, trace_id, type, status, currency, hold_amount,
        request_hash, period_day, expires_at, owner, created_at)
      VALUES ($1, gen_random_uuid(), 'gone', 'blocked', 'CHARGE', 'PENDING', 'USD', 0, 'x', current_date,
        now() - interval '1 hour', 'gone', now() - interval '2 hours')`,
      [bystander.id],
    );
    await client.query('BEGIN');
    await client.query(`SELECT FROM billing_transaction WHERE trace_id = 'blocked' FOR UPDATE`);
    await untilSeen('TollgatePendingTooOld', 'TollgateHotStateDiffers');
    await client.query('COMMIT');
  } finally {
    clearInterval(spoiling);
    await client.end();
  }
});

it('tells of a ledger that is slow', { timeout: 200_000 }, async () => {
  await using _ = during(good);
  stage.toPostgres.delayMs = 80;
  await untilSeen('TollgateBillingSlow');
  stage.toPostgres.delayMs = 0;
});

it('tells of a Redis that does not answer', { timeout: 200_000 }, async () => {
  await using _ = during(good);
  await stage.redis.freeze();
  await untilSeen('TollgateQuotaChecksDown', 'TollgateQuotaChecksFailing', 'TollgatePartUnhealthy');
  await stage.redis.thaw();
});

it('tells of a Redis that may drop what it must keep', { timeout: 200_000 }, async () => {
  const setPolicy = (policy: string) =>
    askRedis(stage.redis, (client) => client.config('SET', 'maxmemory-policy', policy));
  await setPolicy('allkeys-lru');
  await untilSeen('TollgatePartDegraded');
  await setPolicy('noeviction');
});

it('tells of a ledger that is blocked', { timeout: 200_000 }, async () => {
  await using _ = during(good);
  await sleep(2_000);
  await stage.postgres.freeze();
  await untilSeen('TollgateBillingFailing', 'TollgateHeartbeatMissing');
  await stage.postgres.thaw();
});

it('is silent again when all is well again', { timeout: 200_000 }, async () => {
  await using _ = during(good);
  await untilSilent();
});

it('tells of a gateway that dies, of what it had open, and of the last one', {
  timeout: 200_000,
}, async () => {
  const [first, second] = stage.gateways;
  const open = Array.from({ length: 4 }, () => stage.ask(0, { model: 'slow', stream: true }));
  await sleep(3_000);
  await first.kill();
  await Promise.all(open);
  await untilSeen('TollgateGatewayDown', 'TollgateOrphansSettled');
  await second.kill();
  await untilSeen('TollgateDown');
});

it('has been seen with every alert that there is', async () => {
  const all = (await alertRules()).map(({ alert }) => alert);
  expect([...seen].toSorted()).toEqual(all.toSorted());
});
