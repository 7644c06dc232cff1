import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { loadTenant } from '../../test/support/hot-state.ts';
import {
  type ApiKeyId,
  hashRequest,
  hashSecret,
  type InstanceId,
  type TenantId,
  type TraceId,
  type TransactionId,
} from '../domain/ids.ts';
import { parseAmount, parseRate } from '../domain/money.ts';
import { periodAt } from '../domain/quota.ts';
import type { PendingDraft } from '../ledger/ledger.ts';

let plane: TestPlane;
let diesBeforeCredit = false;
let counter = 0;

beforeAll(async () => {
  plane = await openTestPlane({
    wrapLedger: (ledger) => ({
      ...ledger,
      credit: async (topUp) => {
        if (diesBeforeCredit) throw new Error('the process died here');
        return await ledger.credit(topUp);
      },
    }),
  });
});

afterAll(() => plane.close());

const unique = (prefix = 'tenant') => `${prefix}-${counter++}`;

async function transactionsOf(tenantId: string) {
  return (await plane.make('GET', `/transactions?tenant_id=${tenantId}`)).data;
}

function expectRefused({ status, body }: Answer, param: string | undefined, words: RegExp) {
  expect(body.error).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringMatching(words) });
  expect(body.error.param).toBe(param);
  expect(status).toBe(400);
}

describe('creating a tenant', () => {
  test('it answers 201 with the tenant and its quota, the balance explained by a TOPUP', async () => {
    const id = unique();
    const answer = await plane.send('POST', '/tenants', {
      id,
      name: 'Acme',
      balance: '100.00',
      credit_limit: '5.5',
      currency: 'EUR',
      time_zone: 'Asia/Kolkata',
      daily_quota: 1000,
      monthly_quota: 30000,
      rpm_limit: 60,
      tpm_limit: 0,
      rate_multiplier_ppm: 1_200_000,
    });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      id,
      name: 'Acme',
      currency: 'EUR',
      time_zone: 'Asia/Kolkata',
      rate_multiplier_ppm: 1_200_000,
      quota: {
        balance: '100',
        held: '0',
        available: '105.5',
        max_open_requests: null,
        block_on_insufficient: null,
        allow_negative: null,
        stream_allow_negative: null,
        warning_thresholds: null,
        credit_limit: '5.5',
        daily_quota: 1000,
        daily_used: 0,
        monthly_quota: 30000,
        monthly_used: 0,
        rpm_limit: 60,
        tpm_limit: 0,
        version: expect.any(Number),
      },
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    const [opening, ...others] = await transactionsOf(id);
    expect(others).toEqual([]);
    expect(opening).toMatchObject({
      type: 'TOPUP',
      status: 'COMMITTED',
      amount: '100',
      currency: 'EUR',
      trace_id: 'opening-balance',
      balance_before: '0',
      balance_after: '100',
      seq: 1,
    });
    expect((await plane.send('GET', `/tenants/${id}`)).body).toEqual(answer.body);
  });

  test('only a name is needed: an id is made, nothing is limited, the balance is zero', async () => {
    const { id, quota, currency, time_zone } = await plane.make('POST', '/tenants', { name: 'Acme' });
    expect({ currency, time_zone }).toEqual({ currency: 'USD', time_zone: 'UTC' });
    expect(quota).toMatchObject({ balance: '0', credit_limit: '0', daily_quota: null, rpm_limit: null });
    expect(await transactionsOf(id)).toEqual([]);
    expect(await plane.auditOf(id)).toEqual(['tenant.create']);
  });

  test('the same request again answers the same and credits once', async () => {
    const body = { id: unique(), name: 'Acme', balance: '10.50', daily_quota: 7 };
    const first = await plane.send('POST', '/tenants', body);
    const again = await plane.send('POST', '/tenants', { ...body, balance: '10.5' });
    expect(again).toEqual(first);
    expect(await transactionsOf(body.id)).toHaveLength(1);
    expect(await plane.auditOf(body.id)).toEqual(['tenant.create']);
  });

  test('the same request under another Idempotency-Key, or none, credits once', async () => {
    const body = { id: unique(), name: 'Acme', balance: '10' };
    for (const idempotencyKey of ['first', 'second', undefined]) {
      const { quota } = await plane.make(
        'POST',
        '/tenants',
        body,
        idempotencyKey === undefined ? {} : { idempotencyKey },
      );
      expect(quota.balance).toBe('10');
    }
    expect(await transactionsOf(body.id)).toEqual([expect.objectContaining({ trace_id: 'first' })]);
  });

  test('without an id, one Idempotency-Key makes one tenant', async () => {
    const body = { name: 'Acme', balance: '3' };
    const idempotencyKey = unique('key');
    const all = await Promise.all(
      Array.from({ length: 5 }, () => plane.make('POST', '/tenants', body, { idempotencyKey })),
    );
    expect(new Set(all.map((tenant) => tenant.id)).size).toBe(1);
    expect(await transactionsOf(all[0].id)).toEqual([
      expect.objectContaining({ trace_id: idempotencyKey, amount: '3' }),
    ]);
  });

  test('when the process died before the credit, the repeat credits what the first was asked for', async () => {
    const body = { id: unique(), name: 'Acme', balance: '12' };
    diesBeforeCredit = true;
    const died = await plane.send('POST', '/tenants', body, { idempotencyKey: 'first' });
    diesBeforeCredit = false;
    expect(died.status).toBe(500);
    const other = await plane.send('POST', '/tenants', { ...body, balance: '13' });
    expect(other.status).toBe(409);
    expect(await transactionsOf(body.id)).toEqual([]);
    expect((await plane.make('POST', '/tenants', body)).quota.balance).toBe('12');
    expect(await transactionsOf(body.id)).toEqual([expect.objectContaining({ trace_id: 'first' })]);
  });

  test('a repeat after the limits were changed and money was spent is still a repeat', async () => {
    const body = { id: unique(), name: 'Acme', balance: '12', daily_quota: 1 };
    await plane.make('POST', '/tenants', body);
    await plane.make('PATCH', `/tenants/${body.id}`, { daily_quota: 2 });
    await plane.make('POST', `/tenants/${body.id}/top-ups`, { amount: '1' });
    const { quota } = await plane.make('POST', '/tenants', body);
    expect(quota).toMatchObject({ balance: '13', daily_quota: 2 });
  });

  test('the same id with other values is 409 and changes nothing', async () => {
    const id = unique();
    const before = await plane.make('POST', '/tenants', { id, name: 'Acme', balance: '1' });
    for (const other of [
      { name: 'Other', balance: '1' },
      { name: 'Acme', balance: '2' },
      { name: 'Acme', balance: '1', rpm_limit: 1 },
    ]) {
      const answer = await plane.send('POST', '/tenants', { id, ...other });
      expect(answer.status).toBe(409);
      expect(answer.body.error).toMatchObject({ code: 'ALREADY_EXISTS', param: 'id' });
    }
    expect(await plane.make('GET', `/tenants/${id}`)).toEqual(before);
  });

  test('the same Idempotency-Key with other values is 422 and changes nothing', async () => {
    const idempotencyKey = unique('key');
    const { id } = await plane.make('POST', '/tenants', { name: 'Acme', balance: '1' }, { idempotencyKey });
    const answer = await plane.send('POST', '/tenants', { name: 'Acme', balance: '2' }, { idempotencyKey });
    expect(answer.status).toBe(422);
    expect(answer.body.error).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', param: 'Idempotency-Key' });
    expect(await transactionsOf(id)).toHaveLength(1);
  });

  test.each([
    ['no name', {}, 'name', /is required/],
    ['an empty name', { name: '' }, 'name', /1 to 200 characters/],
    ['a name with NUL', { name: 'a\0b' }, 'name', /characters/],
    ['a name with half a character', { name: 'a\ud800' }, 'name', /characters/],
    ['an unknown member', { name: 'A', limits: {} }, 'limits', /isn't known here.*daily_quota/],
    ['an id with a slash', { name: 'A', id: 'a/b' }, 'id', /must be an id/],
    ['an id that is too long', { name: 'A', id: 'a'.repeat(129) }, 'id', /128/],
    ['a number as balance', { name: 'A', balance: 10.5 }, 'balance', /quotes/],
    ['a negative balance', { name: 'A', balance: '-1' }, 'balance', /zero or more/],
    ['ten decimals', { name: 'A', balance: '0.0000000001' }, 'balance', /more than 9 decimals/],
    ['a balance that no column holds', { name: 'A', balance: '100000000000' }, 'balance', /too large/],
    ['an exponent', { name: 'A', balance: '1e3' }, 'balance', /not a decimal number/],
    ['a negative credit limit', { name: 'A', credit_limit: '-0.1' }, 'credit_limit', /zero or more/],
    ['a negative quota', { name: 'A', daily_quota: -1 }, 'daily_quota', /zero or more/],
    ['half a request', { name: 'A', rpm_limit: 0.5 }, 'rpm_limit', /whole number/],
    ['a quota as text', { name: 'A', monthly_quota: '5' }, 'monthly_quota', /whole number/],
    ['a quota beyond 2^53', { name: 'A', tpm_limit: 2 ** 53 }, 'tpm_limit', /whole number/],
    ['a currency in small letters', { name: 'A', currency: 'usd' }, 'currency', /three capital letters/],
    ['a time zone that is none', { name: 'A', time_zone: 'Mars/Olympus' }, 'time_zone', /time zone/],
    ['an offset as time zone', { name: 'A', time_zone: '+02:00' }, 'time_zone', /time zone/],
    ['a negative multiplier', { name: 'A', rate_multiplier_ppm: -1 }, 'rate_multiplier_ppm', /whole number/],
    ['a list', [], undefined, /JSON object/],
    ['no body', undefined, undefined, /JSON object/],
  ])('%s is 400, names the member and creates nothing', async (_, body, param, words) => {
    const before = await plane.store.listTenants({ limit: 1000 });
    expectRefused(await plane.send('POST', '/tenants', body), param, words);
    expect(await plane.store.listTenants({ limit: 1000 })).toEqual(before);
  });

  test('an Idempotency-Key that is too long is 400', async () => {
    const answer = await plane.send('POST', '/tenants', { name: 'A' }, { idempotencyKey: 'k'.repeat(256) });
    expectRefused(answer, 'Idempotency-Key', /255/);
  });
});

describe('exact amounts', () => {
  const max = '99999999999.999999999';
  test.each(['0.000000001', max, '9007199.254740991', '9007199.254740992', '9007199.254740993', '0.1', '1'])(
    '%s survives from the API through SQL to the API',
    async (balance) => {
      const id = unique();
      const { quota } = await plane.make('POST', '/tenants', {
        id,
        name: 'A',
        balance,
        credit_limit: balance,
      });
      expect(quota.balance).toBe(balance);
      expect(quota.credit_limit).toBe(balance);
      const [{ amount, balance_after }] = await transactionsOf(id);
      expect({ amount, balance_after }).toEqual({ amount: balance, balance_after: balance });
      const [row] = await plane.driver.query<{ exact: boolean }>(
        'SELECT balance = $2::numeric AS exact FROM tenant_quota WHERE tenant_id = $1',
        [id, balance],
      );
      expect(row?.exact).toBe(true);
    },
  );

  test('what is available is exact beyond what a column holds', async () => {
    const { quota } = await plane.make('POST', '/tenants', { name: 'A', balance: max, credit_limit: max });
    expect(quota.available).toBe('199999999999.999999998');
  });
});

describe('reading tenants', () => {
  function draftFor(tenantId: string, holdAmount: string): PendingDraft {
    return {
      id: randomUUIDv7() as TransactionId,
      tenantId: tenantId as TenantId,
      apiKeyId: 'key' as ApiKeyId,
      traceId: randomUUIDv7() as TraceId,
      requestHash: hashRequest('body'),
      holdAmount: parseAmount(holdAmount),
      holdTokens: 0,
      currency: 'USD',
      provider: 'sim',
      model: 'sim-small',
      rates: { rates: { input: parseRate('1', 1_000_000) } },
      multiplierPpm: 1_000_000n,
      inputPrice: parseRate('1', 1_000_000),
      outputPrice: null,
      periodDay: periodAt(Date.now(), 'UTC').day,
      ttlMs: 60_000,
      owner: 'instance' as InstanceId,
    };
  }

  test('open requests are held, and count as used once they are committed', async () => {
    const { id } = await plane.make('POST', '/tenants', { name: 'A', balance: '10', credit_limit: '1' });
    const drafts = [draftFor(id, '0.25'), draftFor(id, '0.000000001')];
    for (const draft of drafts) await plane.ledger.createPending(draft);
    expect((await plane.make('GET', `/tenants/${id}`)).quota).toMatchObject({
      balance: '10',
      held: '0.250000001',
      available: '10.749999999',
      daily_used: 0,
    });
    await plane.ledger.commitPending({
      tenantId: drafts[0]!.tenantId,
      traceId: drafts[0]!.traceId,
      transactionId: drafts[0]!.id,
      amount: parseAmount('0.2'),
      metered: { usage: { input: 10 }, method: 'usage' },
      costAmount: null,
      provider: null,
      rates: {},
      receipt: {
        lines: [],
        aboveInputTokens: null,
        serviceTier: null,
        serviceTierIsPriced: true,
        statedCost: null,
        reported: null,
      },
      record: {
        outcome: 'completed',
        stream: false,
        streamCompleted: null,
        streamError: null,
        finishReason: 'stop',
        latencyMs: 1,
        timeToFirstByteMs: null,
      },
    });
    expect((await plane.make('GET', `/tenants/${id}`)).quota).toMatchObject({
      balance: '9.8',
      held: '0.000000001',
      available: '10.799999999',
      daily_used: 1,
      monthly_used: 1,
    });
  });

  test("what was used in another day or month of the tenant's zone isn't used in this one", async () => {
    const { id } = await plane.make('POST', '/tenants', {
      name: 'A',
      balance: '10',
      time_zone: 'Asia/Tokyo',
    });
    await plane.ledger.deduct({
      id: randomUUIDv7() as TransactionId,
      tenantId: id,
      apiKeyId: null,
      traceId: 'trace' as TraceId,
      requestHash: hashRequest('x'),
      amount: parseAmount('1'),
      metered: null,
      model: null,
      periodDay: '2026-11-30',
      description: null,
    });
    const usedAt = async (moment: string) => {
      plane.time.nowMs = Date.parse(moment);
      const { quota } = await plane.make('GET', `/tenants/${id}`);
      plane.time.nowMs = null;
      return [quota.daily_used, quota.monthly_used];
    };
    expect(await usedAt('2026-11-30T14:59:59.999Z')).toEqual([1, 1]);
    expect(await usedAt('2026-11-30T15:00:00.000Z')).toEqual([0, 0]);
    expect(await usedAt('2026-11-29T14:00:00.000Z')).toEqual([0, 1]);
  });

  test('an unknown tenant is 404', async () => {
    const { status, body } = await plane.send('GET', '/tenants/nobody');
    expect(status).toBe(404);
    expect(body.error.code).toBe('NOT_FOUND');
  });

  test('an id that can be none is 400, one of 128 characters is not', async () => {
    expectRefused(await plane.send('GET', '/tenants/%00'), 'id', /must be an id/);
    expect((await plane.send('GET', `/tenants/${'a'.repeat(128)}`)).status).toBe(404);
    expectRefused(await plane.send('GET', `/tenants/${'a'.repeat(129)}`), 'id', /must be an id/);
  });

  test('pages follow one another to the end, each tenant once', async () => {
    for (let index = 0; index < 3; index++) await plane.make('POST', '/tenants', { name: 'A' });
    const ids: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { data, next_cursor } = await plane.make('GET', `/tenants?limit=2${query}`);
      expect(data.length).toBeLessThanOrEqual(2);
      ids.push(...data.map((tenant: { id: string }) => tenant.id));
      cursor = next_cursor;
    }
    expect(ids).toEqual((await plane.store.listTenants({ limit: 1000 })).map((tenant) => tenant.id));
  });

  test.each([
    ['limit=0', 'limit', /1 to 200/],
    ['limit=201', 'limit', /1 to 200/],
    ['limit=ten', 'limit', /1 to 200/],
    ['limit=1&limit=2', 'limit', /1 to 200/],
    ['cursor=%20', 'cursor', /next_cursor/],
    ['sort=name', 'sort', /isn't known here/],
  ])('a list with %s is 400', async (query, param, words) => {
    expectRefused(await plane.send('GET', `/tenants?${query}`), param, words);
  });
});

describe('changing limits', () => {
  test('what is sent changes, the rest stays, and hot state knows before the answer', async () => {
    const { id } = await plane.make('POST', '/tenants', {
      name: 'A',
      balance: '1',
      daily_quota: 5,
      rpm_limit: 6,
    });
    const snapshot = await plane.ledger.snapshot(id);
    if (snapshot.kind === 'snapshot') await loadTenant(plane.hotState, snapshot);
    const { status, body } = await plane.send('PATCH', `/tenants/${id}`, {
      daily_quota: null,
      credit_limit: '2.5',
      tpm_limit: 0,
    });
    expect(status).toBe(200);
    expect(body.quota).toMatchObject({
      balance: '1',
      available: '3.5',
      credit_limit: '2.5',
      daily_quota: null,
      rpm_limit: 6,
      tpm_limit: 0,
    });
    const hot = await plane.hotState.look(id);
    expect(hot?.projection).toMatchObject({
      version: body.quota.version,
      dailyQuota: null,
      creditLimit: parseAmount('2.5'),
    });
    const [entry] = await plane.store.listAudit({ subject: id, limit: 1 });
    expect(entry).toMatchObject({
      actor: 'ada',
      action: 'tenant.change_limits',
      detail: { daily_quota: null, credit_limit: '2.5', tpm_limit: 0 },
    });
  });

  test('an unknown tenant is 404 and leaves no audit entry', async () => {
    expect((await plane.send('PATCH', '/tenants/nobody', { rpm_limit: 1 })).status).toBe(404);
    expect(await plane.auditOf('nobody')).toEqual([]);
  });

  test.each([
    ['nothing', {}, undefined, /at least one of the members/],
    ['a balance', { balance: '1' }, 'balance', /isn't known here/],
    ['a negative limit', { credit_limit: '-1' }, 'credit_limit', /zero or more/],
    ['a number as amount', { credit_limit: 1 }, 'credit_limit', /quotes/],
  ])('%s is 400', async (_, body, param, words) => {
    const { id, quota } = await plane.make('POST', '/tenants', { name: 'A' });
    expectRefused(await plane.send('PATCH', `/tenants/${id}`, body), param, words);
    expect((await plane.make('GET', `/tenants/${id}`)).quota).toEqual(quota);
  });

  test('the data plane sees a new multiplier at once', async () => {
    const { id } = await plane.make('POST', '/tenants', { name: 'A' });
    const { secret } = await plane.make('POST', `/tenants/${id}/api-keys`, { name: 'laptop' });
    const termsNow = async () =>
      (await plane.catalog.findApiKey(hashSecret(secret)))?.terms.rateMultiplierPpm;
    expect(await termsNow()).toBe(1_000_000n);
    await plane.make('PATCH', `/tenants/${id}`, { rate_multiplier_ppm: 500_000 });
    expect(await termsNow()).toBe(500_000n);
  });
});
