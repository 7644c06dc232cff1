import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AnyJson, openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { loadTenant } from '../../test/support/hot-state.ts';
import {
  type ApiKeyId,
  hashRequest,
  type InstanceId,
  type TenantId,
  type TraceId,
  type TransactionId,
} from '../domain/ids.ts';
import { parseAmount, parseRate } from '../domain/money.ts';
import type { Receipt } from '../domain/receipt.ts';
import type { Commit, PendingDraft } from '../ledger/ledger.ts';

const rates = {
  input: parseRate('0.001', 1000),
  output: parseRate('0.002', 1000),
  requests: parseRate('0.5', 1),
};

/** 60 and 40 cached input tokens, 200 output tokens; the cached ones have no price of their own. */
const receipt: Receipt = {
  lines: [
    { usageClass: 'input', units: 60, rate: rates.input, chargedAs: 'input', model: null },
    { usageClass: 'cache_read', units: 40, rate: rates.input, chargedAs: 'input', model: null },
    { usageClass: 'output', units: 200, rate: rates.output, chargedAs: 'output', model: null },
    { usageClass: 'web_search', units: 1, rate: null, chargedAs: null, model: 'other' },
  ],
  aboveInputTokens: null,
  serviceTier: null,
  serviceTierIsPriced: true,
  statedCost: parseAmount('0.00041'),
  reported: { prompt_tokens: 100, more: ['kept'] },
};

let plane: TestPlane;
let counter = 0;

beforeAll(async () => {
  plane = await openTestPlane();
});

afterAll(() => plane.close());

const newKey = () => `key-${counter++}`;

async function tenant(balance = '100'): Promise<TenantId> {
  return (await plane.make('POST', '/tenants', { name: 'Acme', balance })).id;
}

/** An id of a millisecond that begins here: those of the same one are in no order. */
function laterId(): TransactionId {
  const nowMs = Date.now();
  while (Date.now() === nowMs);
  return randomUUIDv7() as TransactionId;
}

function draftFor(tenantId: TenantId): PendingDraft {
  return {
    id: laterId(),
    tenantId,
    apiKeyId: 'key-1' as ApiKeyId,
    traceId: newKey() as TraceId,
    requestHash: hashRequest('body'),
    holdAmount: parseAmount('0.01'),
    holdTokens: 0,
    currency: 'USD',
    provider: 'openai',
    model: 'openai/gpt-4o',
    rates: { rates },
    multiplierPpm: 1_000_000n,
    inputPrice: parseRate('0.001', 1000),
    outputPrice: parseRate('0.002', 1000),
    periodDay: '2026-11-23',
    ttlMs: 3_600_000,
    owner: 'instance-1' as InstanceId,
  };
}

function commitOf({ tenantId, traceId, id }: PendingDraft, amount: string): Commit {
  return {
    tenantId,
    traceId,
    transactionId: id,
    amount: parseAmount(amount),
    metered: {
      usage: { input: 60, cache_read: 40, output: 150, reasoning: 50, requests: 1 },
      method: 'usage',
    },
    costAmount: parseAmount('0.0004'),
    provider: 'azure',
    rates,
    receipt,
    record: {
      outcome: 'completed',
      stream: false,
      streamCompleted: null,
      streamError: null,
      finishReason: 'stop',
      latencyMs: 1,
      timeToFirstByteMs: null,
    },
  };
}

async function pending(tenantId: TenantId): Promise<PendingDraft> {
  const draft = draftFor(tenantId);
  await plane.ledger.createPending(draft);
  return draft;
}

async function charge(tenantId: TenantId, amount: string): Promise<PendingDraft> {
  const draft = await pending(tenantId);
  await plane.ledger.commitPending(commitOf(draft, amount));
  return draft;
}

async function balanceOf(tenantId: string): Promise<string> {
  return (await plane.make('GET', `/tenants/${tenantId}`)).quota.balance;
}

function line(name: string, units: number, rate: string | null, chargedAs: string | null, amount: string) {
  return { class: name, units, rate, per_units: 1_000_000, charged_as: chargedAs, amount };
}

describe('reading transactions', () => {
  test('a committed request shows every column, tokens summed over their classes', async () => {
    const tenantId = await tenant();
    const draft = await charge(tenantId, '0.0005');
    const { status, body } = await plane.send('GET', `/transactions/${draft.id}`);
    expect(status).toBe(200);
    expect(body).toEqual({
      id: draft.id,
      tenant_id: tenantId,
      api_key_id: 'key-1',
      trace_id: draft.traceId,
      type: 'CHARGE',
      status: 'COMMITTED',
      amount: '0.0005',
      currency: 'USD',
      hold_amount: '0.01',
      input_tokens: 100,
      output_tokens: 200,
      usage: { input: 60, cache_read: 40, output: 150, reasoning: 50, requests: 1 },
      usage_method: 'usage',
      input_price: '1',
      output_price: '2',
      rates: { input_per_1m: '1', output_per_1m: '2', per_request: '0.5' },
      multiplier_ppm: 1_000_000,
      cost_amount: '0.0004',
      seq: 2,
      balance_before: '100',
      balance_after: '99.9995',
      provider: 'azure',
      model: 'openai/gpt-4o',
      request_hash: draft.requestHash,
      period_day: '2026-11-23',
      expires_at: expect.stringMatching(/Z$/),
      owner: 'instance-1',
      checkpoint: null,
      reversed_by: null,
      description: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
      receipt: {
        method: 'usage',
        lines: [
          line('input', 60, '1', 'input', '0.00006'),
          line('cache_read', 40, '1', 'input', '0.00004'),
          line('output', 200, '2', 'output', '0.0004'),
          { ...line('web_search', 1, null, null, '0'), per_units: 1, model: 'other' },
        ],
        sum: '0.0005',
        multiplier_ppm: 1_000_000,
        exact_amount: '0.0005',
        rounding: 'to 9 decimals, half to even',
        amount: '0.0005',
        is_transaction_amount: true,
        tier_above_input_tokens: null,
        service_tier: null,
        service_tier_is_priced: true,
        fallbacks: [
          { class: 'cache_read', charged_as: 'input' },
          { class: 'web_search', charged_as: null },
        ],
        cost_amount: '0.0004',
        provider_stated_cost: '0.00041',
        provider_usage: { prompt_tokens: 100, more: ['kept'] },
      },
    });
  });

  test('a receipt that is not the sum of its lines says so, and what was no request has none', async () => {
    const tenantId = await tenant();
    const { id } = await charge(tenantId, '0.0006');
    expect((await plane.make('GET', `/transactions/${id}`)).receipt).toMatchObject({
      amount: '0.0005',
      is_transaction_amount: false,
    });
    const [topUp] = (await plane.make('GET', `/transactions?tenant_id=${tenantId}&type=TOPUP`)).data;
    expect((await plane.make('GET', `/transactions/${topUp.id}`)).receipt).toBeNull();
  });

  test('a pending request shows what it holds, whose it is and when it expires', async () => {
    const draft = await pending(await tenant());
    expect(await plane.make('GET', `/transactions/${draft.id}`)).toMatchObject({
      status: 'PENDING',
      amount: null,
      hold_amount: '0.01',
      seq: null,
      usage: null,
      input_tokens: null,
      owner: 'instance-1',
      expires_at: expect.stringMatching(/Z$/),
    });
  });

  test('an unknown transaction is 404, what is no id is 400', async () => {
    expect((await plane.send('GET', `/transactions/${randomUUIDv7()}`)).status).toBe(404);
    const { status, body } = await plane.send('GET', '/transactions/7');
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'REQUEST_INVALID', param: 'id' });
  });
});

describe('listing transactions', () => {
  const idsOf = async (query: string): Promise<string[]> =>
    (await plane.make('GET', `/transactions?${query}`)).data.map((one: AnyJson) => one.id);

  test('newest first, each filter leaving only what fits', async () => {
    const tenantId = await tenant();
    await tenant();
    const [opening] = await idsOf(`tenant_id=${tenantId}`);
    const first = await charge(tenantId, '1');
    const open = await pending(tenantId);
    const second = await charge(tenantId, '2');
    const all = [second.id, open.id, first.id, opening];
    expect(await idsOf(`tenant_id=${tenantId}`)).toEqual(all);
    expect(await idsOf(`tenant_id=${tenantId}&status=PENDING`)).toEqual([open.id]);
    expect(await idsOf(`tenant_id=${tenantId}&type=TOPUP`)).toEqual([opening]);
    expect(await idsOf(`tenant_id=${tenantId}&type=CHARGE&status=COMMITTED`)).toEqual([second.id, first.id]);
    expect(await idsOf(`trace_id=${first.traceId}`)).toEqual([first.id]);
    const { created_at } = await plane.make('GET', `/transactions/${open.id}`);
    const from = new Date(Date.parse(created_at) + 1).toISOString();
    expect(await idsOf(`tenant_id=${tenantId}&from=2001-01-01&to=2999-01-01`)).toEqual(all);
    expect(await idsOf(`tenant_id=${tenantId}&to=2001-01-01`)).toEqual([]);
    expect(await idsOf(`tenant_id=${tenantId}&to=${from}`)).toContain(open.id);
    expect(await idsOf(`tenant_id=${tenantId}&from=${from}`)).not.toContain(open.id);
  });

  test('pages follow one another to the end, each transaction once, though new ones come in between', async () => {
    const tenantId = await tenant();
    for (let index = 0; index < 4; index++) await charge(tenantId, '0.1');
    const expected = await idsOf(`tenant_id=${tenantId}`);
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { data, next_cursor } = await plane.make(
        'GET',
        `/transactions?tenant_id=${tenantId}&limit=2${query}`,
      );
      seen.push(...data.map((one: AnyJson) => one.id));
      cursor = next_cursor;
      await charge(tenantId, '0.1');
    }
    expect(seen).toEqual(expected);
  });

  test('a page that is just full has no next one', async () => {
    const tenantId = await tenant();
    await charge(tenantId, '1');
    const page = await plane.make('GET', `/transactions?tenant_id=${tenantId}&limit=2`);
    expect(page.data).toHaveLength(2);
    expect(page.next_cursor).toBeNull();
  });

  test.each([
    ['tenant_id=a%2Fb', 'tenant_id', /must be an id/],
    ['status=OPEN', 'status', /PENDING, COMMITTED, VOIDED/],
    ['type=charge', 'type', /CHARGE, TOPUP/],
    ['trace_id=%00', 'trace_id', /printable ASCII/],
    ['from=yesterday', 'from', /ISO 8601/],
    ['to=2026-02-30', 'to', /ISO 8601/],
    ['cursor=7', 'cursor', /next_cursor/],
    ['limit=201', 'limit', /1 to 200/],
    ['limit=-1', 'limit', /1 to 200/],
    ['tenant=acme', 'tenant', /isn't known here.*tenant_id/],
  ])('%s is 400', async (query, param, words) => {
    const { status, body } = await plane.send('GET', `/transactions?${query}`);
    expect(body.error).toMatchObject({
      code: 'REQUEST_INVALID',
      param,
      message: expect.stringMatching(words),
    });
    expect(status).toBe(400);
  });
});

describe('reversing a transaction', () => {
  const reverse = (id: string, body: unknown, idempotencyKey?: string) =>
    plane.send(
      'POST',
      `/transactions/${id}/reverse`,
      body,
      idempotencyKey === undefined ? {} : { idempotencyKey },
    );
  const description = 'Wrong answer';

  test('it answers 201 with a REFUND that gives the charge back, and hot state knows', async () => {
    const tenantId = await tenant();
    const { id } = await charge(tenantId, '0.000000001');
    const snapshot = await plane.ledger.snapshot(tenantId);
    if (snapshot.kind === 'snapshot') await loadTenant(plane.hotState, snapshot);
    const { status, body } = await reverse(id, { description });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      type: 'REFUND',
      status: 'COMMITTED',
      amount: '0.000000001',
      balance_before: '99.999999999',
      balance_after: '100',
      seq: 3,
      description,
    });
    expect((await plane.make('GET', `/transactions/${id}`)).reversed_by).toBe(body.id);
    expect((await plane.hotState.look(tenantId))?.projection.balance).toBe(parseAmount('100'));
    expect(await plane.store.listAudit({ subject: id, limit: 9 })).toEqual([
      expect.objectContaining({
        actor: 'ada',
        action: 'transaction.reverse',
        detail: { tenant_id: tenantId, refund: body.id, description },
      }),
    ]);
  });

  test('a reversed top-up takes the money away again', async () => {
    const tenantId = await tenant('0');
    const { id } = await plane.make('POST', `/tenants/${tenantId}/top-ups`, { amount: '5' });
    expect((await reverse(id, { description })).body.amount).toBe('-5');
    expect(await balanceOf(tenantId)).toBe('0');
  });

  test('repeated and raced, with a key or without, it is undone once and answers the same', async () => {
    for (const idempotencyKey of [undefined, newKey()]) {
      const tenantId = await tenant();
      const { id } = await charge(tenantId, '7');
      const answers = await Promise.all([1, 2, 3].map(() => reverse(id, { description }, idempotencyKey)));
      answers.push(await reverse(id, { description }, idempotencyKey));
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(answers[0]?.status).toBe(201);
      expect(await balanceOf(tenantId)).toBe('100');
      expect(await plane.auditOf(id)).toEqual(['transaction.reverse']);
    }
  });

  test('undoing for another reason what was undone is 409, naming the REFUND', async () => {
    const tenantId = await tenant();
    const { id } = await charge(tenantId, '7');
    const { body: refund } = await reverse(id, { description });
    const { status, body } = await reverse(id, { description: 'Another' });
    expect(status).toBe(409);
    expect(body.error).toMatchObject({ code: 'ALREADY_EXISTS', message: expect.stringContaining(refund.id) });
    expect(await balanceOf(tenantId)).toBe('100');
  });

  test('the same Idempotency-Key for another transaction is 422 and undoes nothing', async () => {
    const tenantId = await tenant();
    const [one, other] = [await charge(tenantId, '7'), await charge(tenantId, '7')];
    const idempotencyKey = newKey();
    await reverse(one.id, { description }, idempotencyKey);
    const { status, body } = await reverse(other.id, { description }, idempotencyKey);
    expect(status).toBe(422);
    expect(body.error.code).toBe('IDEMPOTENCY_CONFLICT');
    expect(await balanceOf(tenantId)).toBe('93');
  });

  test('what is pending, and a REFUND, are 400', async () => {
    const tenantId = await tenant();
    const open = await pending(tenantId);
    const { body: refund } = await reverse((await charge(tenantId, '1')).id, { description });
    for (const [id, words] of [
      [open.id, /it is PENDING/],
      [refund.id, /REFUND is not undone/],
    ]) {
      const { status, body } = await reverse(id, { description });
      expect(status).toBe(400);
      expect(body.error).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringMatching(words) });
    }
    expect(await balanceOf(tenantId)).toBe('100');
  });

  test('an unknown transaction is 404', async () => {
    expect((await reverse(randomUUIDv7(), { description })).status).toBe(404);
  });

  test.each([
    ['no reason', {}, 'description'],
    ['an unknown member', { description, amount: '1' }, 'amount'],
  ])('%s is 400 and undoes nothing', async (_, sent, param) => {
    const tenantId = await tenant();
    const { id } = await charge(tenantId, '7');
    const { status, body } = await reverse(id, sent);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'REQUEST_INVALID', param });
    expect(await balanceOf(tenantId)).toBe('93');
  });
});
