import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addTenant, type TestTenant } from '../support/gateway.ts';
import { askRedis } from '../support/services/ask-redis.ts';
import { alertRules, quickRules } from './alert-rules.ts';
import { buildStage, type Load, type OperationsStage } from './stage.ts';

// Every alert of ops/prometheus, seen firing from a real fault by a real Prometheus: the very rules, with all of their
// windows and waits divided.

const timesFaster = 20;
const scrapeEveryMs = 1_000;
/** Of a process: few, so that some idle streams come near. */
const maxRequests = 60;
const idleStreams = 52;
const good = [{ model: 'good' }, { model: 'good', stream: true }];

let stage: OperationsStage;
let bystander: TestTenant;
/** Every alert that has been seen firing when its fault was there. */
const seen = new Set<string>();

beforeAll(async () => {
  const rules = await quickRules(timesFaster);
  const env = { MAX_REQUESTS: String(maxRequests), RECONCILE_SECONDS: '4' };
  stage = await buildStage({ rules, scrapeEveryMs, env });
  bystander = await addTenant(stage.gateways[0]);
}, 120_000);
afterAll(() => stage.stop());

async function alertNames(): Promise<readonly string[]> {
  return (await alertRules()).map(({ alert }) => alert);
}

async function firing(): Promise<readonly string[]> {
  const alerts = await stage.prometheus.alerts().catch(() => []);
  return alerts.filter(({ state }) => state === 'firing').map(({ name }) => name);
}

/** From now on, each at some time. */
async function untilFiring(...names: readonly string[]): Promise<void> {
  const missing = new Set(names);
  const look = async () => {
    for (const name of await firing()) missing.delete(name);
    return [...missing];
  };
  await expect.poll(look, { timeout: 150_000, interval: 200 }).toEqual([]);
  for (const name of names) seen.add(name);
}

/** So that what fires then is set off by what is done then, and not by what was before. */
async function untilSilent(...names: readonly string[]): Promise<void> {
  const still = async () => (await firing()).filter((name) => names.length === 0 || names.includes(name));
  await expect.poll(still, { timeout: 150_000, interval: 500 }).toEqual([]);
}

/** Whatever came of it meanwhile, the fault is over at the end of its test. */
function undone(undo: () => unknown): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      await undo();
    },
  };
}

/** A load that goes on until the test of it is over. */
function during(bodies: Parameters<OperationsStage['load']>[0]): AsyncDisposable & Load {
  const load = stage.load(bodies);
  return { ...load, [Symbol.asyncDispose]: () => load.stop() };
}

/** Whoever can pay for nothing asks all the time. */
function refusals(): Disposable {
  const asking = setInterval(() => {
    for (let turn = 0; turn < 6; turn++) void stage.ask(turn, { model: 'good' }, stage.poor);
  }, 200);
  return { [Symbol.dispose]: () => clearInterval(asking) };
}

function idleCrowd(): AsyncDisposable {
  const leaving = new AbortController();
  const crowd = Array.from({ length: idleStreams }, () =>
    stage.ask(0, { model: 'slow', stream: true }, stage.tenant, leaving.signal),
  );
  return {
    [Symbol.asyncDispose]: async () => {
      leaving.abort();
      await Promise.all(crowd);
    },
  };
}

/** Hot state says again and again what the ledger doesn't: each time that it is repaired, and loaded again. */
function spoiledHotState(): AsyncDisposable {
  const key = `gw:quota:tenant:{${bystander.id}}`;
  const spoil = async () => {
    const isLoaded = await askRedis(stage.redis, (redis) => redis.hexists(key, 'loaded'));
    if (isLoaded === 0) await stage.ask(1, { model: 'good' }, bystander);
    await askRedis(stage.redis, (redis) => redis.hset(key, 'balance', '123456789'));
  };
  const over = new AbortController();
  const spoiling = (async () => {
    while (!over.signal.aborted) {
      await spoil().catch(() => undefined);
      await sleep(200);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await spoiling;
    },
  };
}

/** A transaction that is older than any may be, and that nobody can close. */
async function lockedTransaction(): Promise<AsyncDisposable> {
  const client = new Client({ connectionString: stage.databaseUrl });
  await client.connect();
  await client.query(
    `INSERT INTO billing_transaction (tenant_id, id, api_key_id, trace_id, type, status, currency, hold_amount,
      request_hash, period_day, expires_at, owner, created_at)
    VALUES ($1, gen_random_uuid(), 'gone', 'locked', 'CHARGE', 'PENDING', 'USD', 0, 'x', current_date,
      now() - interval '1 hour', 'gone', now() - interval '2 hours')`,
    [stage.poor.id],
  );
  await client.query('BEGIN');
  await client.query(`SELECT FROM billing_transaction WHERE trace_id = 'locked' FOR UPDATE`);
  return { [Symbol.asyncDispose]: () => client.end() };
}

it('fires nothing while all is well', { timeout: 120_000 }, async () => {
  const up = () => stage.prometheus.query('sum(up)').then(([sample]) => sample?.value);
  await expect.poll(up, { timeout: 60_000, interval: 200 }).toBe(2);
  // That the disk of this very machine is slow would be true.
  const expected = (await alertNames()).filter((name) => name !== 'TollgateBillingSlow');
  await untilSilent(...expected);
  await using _ = during([{ model: 'good', stream: true }]);
  for (let second = 0; second < 10; second++) {
    await sleep(1_000);
    expect((await firing()).filter((name) => expected.includes(name))).toEqual([]);
  }
});

it('tells of providers, of limits, of a full process, and of what the ledger and hot state disagree on', {
  timeout: 240_000,
}, async () => {
  await using _ = during([
    { model: 'failing' },
    { model: 'breaking', stream: true },
    { model: 'silent', stream: true },
    { model: 'miscounting', stream: true },
    { model: 'miscounting', stream: true },
  ]);
  using _refused = refusals();
  await using _idle = idleCrowd();
  await using _spoiled = spoiledHotState();
  await using _locked = await lockedTransaction();
  await untilFiring(
    'TollgateUpstreamFailing',
    'TollgateUpstreamBreaking',
    'TollgateUsageMissing',
    'TollgateTokenCountInaccurate',
    'TollgateManyRefusals',
    'TollgateQueueNearlyFull',
    'TollgatePendingTooOld',
    'TollgateHotStateDiffers',
  );
});

it('tells of a ledger that is slow', { timeout: 240_000 }, async () => {
  await untilSilent('TollgateBillingSlow');
  await using _ = during(good);
  stage.toPostgres.delayMs = 80;
  await using _undone = undone(() => {
    stage.toPostgres.delayMs = 0;
  });
  await untilFiring('TollgateBillingSlow');
});

it('tells of a Redis that may drop what it must keep', { timeout: 240_000 }, async () => {
  const setPolicy = (policy: string) =>
    askRedis(stage.redis, (client) => client.config('SET', 'maxmemory-policy', policy));
  await untilSilent('TollgatePartDegraded');
  await setPolicy('allkeys-lru');
  await using _undone = undone(() => setPolicy('noeviction'));
  await untilFiring('TollgatePartDegraded');
});

it('tells of a Redis that has stopped', { timeout: 240_000 }, async () => {
  const expected = ['TollgateQuotaChecksDown', 'TollgateQuotaChecksFailing', 'TollgatePartUnhealthy'];
  await untilSilent(...expected);
  await using _ = during(good);
  await stage.redis.crash();
  await using _undone = undone(() => stage.redis.restart());
  await untilFiring(...expected);
});

it('tells of a ledger that is blocked', { timeout: 240_000 }, async () => {
  const expected = [
    'TollgateBillingFailing',
    'TollgateHeartbeatMissing',
    'TollgateRequestsDown',
    'TollgateRequestsFailing',
    'TollgateReconcileStopped',
  ];
  await untilSilent(...expected);
  await using _ = during(good);
  const running = Array.from({ length: 8 }, (_, turn) => stage.ask(turn, { model: 'running', stream: true }));
  await sleep(3_000);
  await using _running = undone(() => Promise.all(running));
  await stage.postgres.freeze();
  await using _undone = undone(() => stage.postgres.thaw());
  await untilFiring(...expected);
});

it('is silent again when all is well again', { timeout: 240_000 }, async () => {
  // For hours after the last stream of the model its tokens are still counted as badly.
  const over = (name: string) => name !== 'TollgateTokenCountInaccurate' && name !== 'TollgateBillingSlow';
  await using _ = during(good);
  await untilSilent(...(await alertNames()).filter(over));
});

it('tells of workers that hang, and of workers that end again and again', { timeout: 240_000 }, async () => {
  const [, gateway] = stage.gateways;
  const supervisor = gateway.process.pid!;
  const workers = async () => {
    const children = await readFile(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8');
    return children.trim().split(' ').map(Number);
  };
  const hung = await workers();
  for (const pid of hung) process.kill(pid, 'SIGSTOP');
  try {
    await untilFiring('TollgateWorkerSilent');
  } finally {
    for (const pid of hung) process.kill(pid, 'SIGCONT');
  }

  const answering = () =>
    stage.prometheus
      .query('tollgate_workers{state="answering"}')
      .then((samples) => samples.map(({ value }) => value));
  // One that is back between two scrapes isn't missed by anybody.
  const endAgain = async () => {
    const [, second] = await workers();
    if (second !== undefined) process.kill(second, 'SIGKILL');
    return await answering();
  };
  const poll = { timeout: 60_000, interval: 300 };
  for (let count = 0; count < 3; count++) {
    await expect.poll(answering, poll).toEqual([2]);
    await expect.poll(endAgain, poll).toEqual([1]);
  }
  await untilFiring('TollgateGatewayRestarting');
});

it('tells of a gateway that dies, of what it had open, and of the last one', {
  timeout: 240_000,
}, async () => {
  const [first, second] = stage.gateways;
  const open = Array.from({ length: 4 }, () => stage.ask(0, { model: 'slow', stream: true }));
  await sleep(3_000);
  await first.kill();
  await Promise.all(open);
  await untilFiring('TollgateGatewayDown', 'TollgateOrphansSettled');
  await second.kill();
  await untilFiring('TollgateDown');
});

it('has been seen with every alert that there is', async () => {
  expect([...seen].toSorted()).toEqual((await alertNames()).toSorted());
});
