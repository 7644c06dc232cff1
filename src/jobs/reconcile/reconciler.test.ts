import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { plainKey } from '../../../test/support/hot-state.ts';
import { stateOf } from '../../../test/support/random-hot-state.ts';
import type { TestDatabase } from '../../../test/support/services/postgres.ts';
import { newDatabase } from '../../../test/support/template.ts';
import { failOnFault, useRedis } from '../../../test/support/use-redis.ts';
import { systemClock, type Timers } from '../../domain/clock.ts';
import type { TenantId, TransactionId } from '../../domain/ids.ts';
import { formatAmount, nano, parseAmount } from '../../domain/money.ts';
import { holdOf } from '../../gateway/commit.ts';
import { createTenantLoader, type TenantLoader } from '../../gateway/tenant-loader.ts';
import type { HoldRef, HotState } from '../../hot-state/hot-state.ts';
import { unavailable } from '../../hot-state/redis/connect.ts';
import { tenantKeys } from '../../hot-state/redis/keys.ts';
import { createRedisHotState } from '../../hot-state/redis/redis.ts';
import type { RunScript } from '../../hot-state/redis/scripts.ts';
import { commitOf, draftFor, topUpFor, voidOf } from '../../ledger/contract/drafts.contract.ts';
import type { Driver } from '../../ledger/drivers/driver.ts';
import { openPostgres } from '../../ledger/drivers/postgres.ts';
import type { Ledger, PendingDraft } from '../../ledger/ledger.ts';
import { createSqlLedger } from '../../ledger/sql-ledger.ts';
import { createSqlUpkeep } from '../../ledger/sql-upkeep.ts';
import { createReconciler, type RunOptions, type Scope } from './reconciler.ts';

const redis = useRedis();

let database: TestDatabase;
let driver: Driver;
let ledger: Ledger;
let hotState: HotState;
let tenants: TenantLoader;

beforeAll(async () => {
  database = await newDatabase();
  driver = await openPostgres({ url: database.url });
  ledger = createSqlLedger({ driver });
});
afterAll(async () => {
  await driver.close();
  await database.remove();
});
beforeEach(async () => {
  await redis.client.flushall();
  hotState = createRedisHotState({ run: redis.run, onFault: failOnFault });
  tenants = createTenantLoader({ hotState, ledger, clock: systemClock });
});

async function newTenant(balance: string): Promise<TenantId> {
  const tenantId = `tenant-${randomUUIDv7()}` as TenantId;
  await driver.db.insertInto('tenant').values({ tenant_id: tenantId, name: 'test' }).execute();
  const quota = { tenant_id: tenantId, currency: 'USD', time_zone: 'UTC' };
  await driver.db.insertInto('tenant_quota').values(quota).execute();
  await ledger.credit(topUpFor(tenantId, balance));
  await warm(tenantId);
  return tenantId;
}

/** As a request does that is refused. */
async function warm(tenantId: TenantId): Promise<void> {
  const hold = {
    ...plainKey,
    tenantId,
    traceId: 'warm' as never,
    holder: `warm ${tenantId}` as TransactionId,
  };
  await tenants.ask(tenantId, () => hotState.check({ ...hold, holdAmount: nano(10n ** 20n) }));
}

const refOf = (draft: PendingDraft): HoldRef => holdOf({ ...draft, transactionId: draft.id });

async function check(tenantId: TenantId, amount: string): Promise<PendingDraft | null> {
  const draft = draftFor(tenantId, { holdAmount: parseAmount(amount), holdTokens: 0 });
  const asked = { ...plainKey, ...refOf(draft), holdAmount: draft.holdAmount };
  const answer = await tenants.ask(tenantId, () => hotState.check(asked));
  return answer.kind === 'admitted' ? { ...draft, periodDay: answer.periodDay } : null;
}

const confirm = async (draft: PendingDraft) => {
  const { holdAmount, periodDay } = draft;
  const confirmation = { ...plainKey, ...refOf(draft), holdAmount, periodDay };
  return await tenants.ask(draft.tenantId, () => hotState.confirm(confirmation));
};

async function open(tenantId: TenantId, amount: string): Promise<PendingDraft> {
  const draft = (await check(tenantId, amount))!;
  await ledger.createPending(draft);
  expect(await confirm(draft)).toEqual({ kind: 'confirmed' });
  return draft;
}

async function commit(draft: PendingDraft) {
  const answer = await ledger.commitPending(commitOf(draft, formatAmount(draft.holdAmount)));
  if (answer.kind !== 'committed') throw new Error(answer.kind);
  return answer;
}

const finish = async (draft: PendingDraft) =>
  await hotState.deduct(refOf(draft), (await commit(draft)).projection, null);

/** Where time passes at once, once `between` has happened. */
function skipping(between: () => Promise<unknown> = async () => undefined): Timers {
  return {
    after: (_, callback) => {
      between().then(callback);
      return () => undefined;
    },
  };
}

const faults: unknown[] = [];

function reconcile(
  scope: Scope,
  { timers = skipping(), ...run }: { readonly timers?: Timers } & Partial<RunOptions> = {},
) {
  const upkeep = createSqlUpkeep(driver.db, 3);
  const onFault = (_: string, error: unknown) => faults.push(error);
  const options = { repairs: true, signal: new AbortController().signal, ...run };
  return createReconciler({ hotState, ledger, upkeep, timers, onFault }).run(scope, options);
}

/** Hot state then has what the ledger has, and nothing else. */
async function expectEqual(tenantId: TenantId): Promise<void> {
  await warm(tenantId);
  const snapshot = await ledger.snapshot(tenantId);
  if (snapshot.kind !== 'snapshot') throw new Error('no such tenant');
  const { projection, openPendings } = snapshot;
  const state = await stateOf(hotState, tenantId);
  expect(state?.projection).toEqual(projection);
  expect(state?.holds.map(({ holder }) => holder).sort()).toEqual(
    openPendings.map(({ transactionId }) => transactionId).sort(),
  );
  expect(await reconcile({ tenantId })).toMatchObject({ checked: 1, differing: 0, repaired: 0 });
}

const keysOf = (tenantId: TenantId) => {
  const [quota, holds = ''] = tenantKeys({ tenantId });
  return { quota, holds };
};

const spent = '0.01';

type Plant = (tenantId: TenantId, running: PendingDraft) => Promise<unknown>;

const planted: readonly [what: string, amount: string, plant: Plant][] = [
  [
    'the ghost hold that a confirmation repeated after a flush leaves',
    '0.01',
    async (tenantId) => {
      const draft = await open(tenantId, spent);
      await finish(draft);
      await redis.client.flushall();
      await warm(tenantId);
      expect(await confirm(draft)).toEqual({ kind: 'confirmed' });
    },
  ],
  [
    'the hold and the row of a process that died between ledger and hot state',
    '0',
    async (tenantId) => await commit(await open(tenantId, spent)),
  ],
  [
    'the hold of a row that another process voided',
    '0.01',
    async (tenantId) => await ledger.voidPending(voidOf(await open(tenantId, spent))),
  ],
  [
    'a top-up that was never projected',
    '5',
    async (tenantId) => await ledger.credit(topUpFor(tenantId, '5')),
  ],
  [
    'a wrong balance of the right version',
    '99',
    async (tenantId) => await redis.client.hset(keysOf(tenantId).quota, 'balance', '100000000000'),
  ],
  [
    'a counter that counts otherwise',
    '0',
    async (tenantId) => await redis.client.hset(keysOf(tenantId).quota, 'daily_used', '7'),
  ],
  [
    'a ledger that was restored to an earlier state',
    '2',
    async (tenantId) =>
      await redis.client.hset(keysOf(tenantId).quota, { version: '1000', balance: '3000000000' }),
  ],
  [
    'a sum of the holds that is too large',
    '0.000000123',
    async (tenantId) => await redis.client.hincrby(keysOf(tenantId).quota, 'held', 123),
  ],
  [
    'a sum of the holds that is too small',
    '0.02',
    async (tenantId) => await redis.client.hset(keysOf(tenantId).quota, 'held', '0'),
  ],
  [
    'open requests that are counted twice',
    '0',
    async (tenantId, { periodDay }) =>
      await redis.client.hset(keysOf(tenantId).quota, 'open', `${periodDay} 2 0 20000000;`),
  ],
  [
    'an API key whose open requests are not counted',
    '0',
    async (tenantId, { apiKeyId }) => await redis.client.hdel(keysOf(tenantId).quota, `open:${apiKeyId}`),
  ],
  [
    'a hold that is gone while its request runs',
    '0.02',
    async (tenantId, { traceId, apiKeyId }) => {
      await redis.client.hdel(keysOf(tenantId).holds, traceId);
      await redis.client.hset(keysOf(tenantId).quota, 'held', '0', 'open', '');
      await redis.client.hdel(keysOf(tenantId).quota, `open:${apiKeyId}`);
    },
  ],
  [
    'an open row of a process that died before it confirmed the hold',
    '0.03',
    async (tenantId) => await ledger.createPending(draftFor(tenantId, { holdAmount: parseAmount('0.03') })),
  ],
  [
    'a hold of less than its row',
    '0',
    async (tenantId, { traceId }) => {
      const { holds } = keysOf(tenantId);
      const text = await redis.client.hget(holds, traceId);
      await redis.client.hset(holds, traceId, text!.replace(/^\d+/, '1'));
    },
  ],
  [
    'a hold that nobody can read',
    '0',
    async (tenantId, { traceId }) => await redis.client.hset(keysOf(tenantId).holds, traceId, 'garbage'),
  ],
];

describe('a difference of hot state', () => {
  it.each(planted)('is found once and repaired: %s', async (_, amount, plant) => {
    const tenantId = await newTenant('1');
    const running = await open(tenantId, '0.02');
    await plant(tenantId, running);
    const report = await reconcile({ tenantId });
    expect(report).toMatchObject({ checked: 1, differing: 1, repaired: 1, amount: parseAmount(amount) });
    expect(report.tenants).toMatchObject([{ tenantId, amount: parseAmount(amount) }]);
    await expectEqual(tenantId);
    await finish(running);
    await expectEqual(tenantId);
  });

  it.each(planted)('is only told where nothing is to be repaired: %s', async (_, amount, plant) => {
    const tenantId = await newTenant('1');
    await plant(tenantId, await open(tenantId, '0.02'));
    const told = { checked: 1, differing: 1, repaired: 0, amount: parseAmount(amount) };
    expect(await reconcile({ tenantId }, { repairs: false })).toMatchObject(told);
    expect(await reconcile({ tenantId }, { repairs: false })).toMatchObject(told);
  });

  it('is repaired once by several processes that find it together', async () => {
    const tenantId = await newTenant('1');
    await commit(await open(tenantId, spent));
    await Promise.all([reconcile({ tenantId }), reconcile({ tenantId }), reconcile({ tenantId })]);
    await expectEqual(tenantId);
  });
});

describe('a request in flight', () => {
  const none = { checked: 1, differing: 0, repaired: 0, amount: 0n, tenants: [] };

  it('is no difference at any of its steps', async () => {
    const tenantId = await newTenant('1');
    const draft = (await check(tenantId, '0.5'))!;
    expect(await reconcile({ tenantId })).toEqual(none);
    await ledger.createPending(draft);
    expect(await reconcile({ tenantId })).toEqual(none);
    await confirm(draft);
    expect(await reconcile({ tenantId })).toEqual(none);
    await hotState.extend({
      ...plainKey,
      ...refOf(draft),
      holdAmount: parseAmount('0.7'),
      periodDay: draft.periodDay,
    });
    expect(await reconcile({ tenantId })).toEqual(none);
    const { projection } = await commit(draft);
    const deduct = async () => await hotState.deduct(refOf(draft), projection, null);
    expect(await reconcile({ tenantId }, { timers: skipping(deduct) })).toEqual(none);
    await expectEqual(tenantId);
  });

  it('is none although another one is there in the second look', async () => {
    const tenantId = await newTenant('1');
    const [first, second] = [await open(tenantId, '0.1'), await open(tenantId, '0.2')];
    const { projection } = await commit(first);
    const goOn = async () => {
      await hotState.deduct(refOf(first), projection, null);
      await commit(second);
    };
    expect(await reconcile({ tenantId }, { timers: skipping(goOn) })).toEqual(none);
  });

  it('keeps what its stream has grown to when its tenant is repaired', async () => {
    const tenantId = await newTenant('1');
    const draft = await open(tenantId, '0.1');
    const extension = {
      ...plainKey,
      ...refOf(draft),
      holdAmount: parseAmount('0.9'),
      periodDay: draft.periodDay,
    };
    await hotState.extend(extension);
    await redis.client.hset(keysOf(tenantId).quota, 'balance', '9000000000');
    expect(await reconcile({ tenantId })).toMatchObject({ repaired: 1 });
    expect(await check(tenantId, '0.2')).toBeNull();
    expect(await check(tenantId, '0.1')).not.toBeNull();
  });

  it('that was admitted by what was wrong is decided anew before it is served', async () => {
    const tenantId = await newTenant('1');
    await redis.client.hset(keysOf(tenantId).quota, 'balance', '9000000000');
    const draft = (await check(tenantId, '5'))!;
    const row = () => ledger.createPending(draft);
    expect(await reconcile({ tenantId }, { timers: skipping(row) })).toMatchObject({ repaired: 1 });
    expect(await confirm(draft)).toMatchObject({ kind: 'denied', limit: 'balance' });
  });
});

describe('a run', () => {
  it('looks at all tenants page by page, and counts those that are cold', async () => {
    const tenantIds = [];
    for (let index = 0; index < 8; index++) tenantIds.push(await newTenant('1'));
    const [first, , third] = tenantIds;
    await ledger.credit(topUpFor(first!, '2'));
    await ledger.credit(topUpFor(third!, '7'));
    await hotState.forget(tenantIds[5]!);
    const rows = await driver.db.selectFrom('tenant').select('tenant_id').execute();
    const report = await reconcile('all');
    expect(report).toEqual({
      checked: rows.length,
      differing: 2,
      repaired: 2,
      amount: parseAmount('9'),
      tenants: [
        expect.objectContaining({ tenantId: third, amount: parseAmount('7') }),
        expect.objectContaining({ tenantId: first, amount: parseAmount('2') }),
      ],
    });
    expect(await reconcile('all')).toMatchObject({ checked: rows.length, differing: 0 });
  });

  it('ends early when it is told to', async () => {
    await newTenant('1');
    const signal = AbortSignal.abort();
    expect(await reconcile('all', { signal })).toMatchObject({ checked: 0 });
  });

  it('says when hot state can not be reached', async () => {
    const tenantId = await newTenant('1');
    const run: RunScript = async () => {
      throw unavailable(new Error('away'));
    };
    hotState = createRedisHotState({ run, onFault: failOnFault });
    await expect(reconcile({ tenantId })).rejects.toMatchObject({ code: 'HOT_STATE_UNAVAILABLE' });
  });
});

describe('under load', () => {
  const requests = 300;
  const price = '0.01';

  /** Clients that go on until the money is spent: a balance for exactly so many requests. */
  async function spendAll(tenantId: TenantId, meanwhile: (isOver: () => boolean) => Promise<void>) {
    let left = requests;
    const isOver = () => left <= 0;
    const untilMs = performance.now() + 40_000;
    const client = async () => {
      while (!isOver() && performance.now() < untilMs) {
        const draft = await check(tenantId, price);
        if (draft === null) continue;
        await ledger.createPending(draft);
        const { kind } = await confirm(draft);
        if (kind === 'confirmed') {
          await finish(draft);
          left -= 1;
        } else {
          await ledger.voidPending(voidOf(draft));
          await hotState.release(refOf(draft));
        }
      }
    };
    await Promise.all([meanwhile(isOver), ...Array.from({ length: 16 }, client)]);
    expect(left).toBe(0);
    const snapshot = await ledger.snapshot(tenantId);
    expect(snapshot).toMatchObject({ projection: { balance: 0n }, openPendings: [] });
    await expectEqual(tenantId);
  }

  const balance = formatAmount(nano(parseAmount(price) * BigInt(requests)));

  it('a tenant shows no difference, and exactly as many are admitted as there is money for', async () => {
    const tenantId = await newTenant(balance);
    let runs = 0;
    await spendAll(tenantId, async (isOver) => {
      do {
        const report = await reconcile({ tenantId }, { timers: systemClock });
        expect(report).toMatchObject({ checked: 1, differing: 0 });
        runs += 1;
      } while (!isOver());
    });
    expect(runs).toBeGreaterThan(0);
  });

  it('a tenant that is repaired again and again admits exactly as many as there is money for', async () => {
    const tenantId = await newTenant(balance);
    let repaired = 0;
    await spendAll(tenantId, async (isOver) => {
      while (!isOver()) {
        // Too much is held: nobody is admitted before it is repaired.
        await redis.client.hincrby(keysOf(tenantId).quota, 'held', 90_000_000_000);
        repaired += (await reconcile({ tenantId })).repaired;
      }
    });
    expect(repaired).toBeGreaterThan(0);
  });
});
