import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { loadTenant } from '../../test/support/hot-state.ts';
import type { TenantId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';

let plane: TestPlane;
let hotStateIsGone = false;
let diesBeforeAudit = false;
let counter = 0;

beforeAll(async () => {
  plane = await openTestPlane({
    wrapHotState: (hotState) => ({
      ...hotState,
      project: async (projection) => {
        if (hotStateIsGone) throw new Error('hot state is gone');
        await hotState.project(projection);
      },
    }),
    wrapStore: (store) => ({
      ...store,
      recordAudit: async (audit) => {
        if (diesBeforeAudit) throw new Error('the process died here');
        await store.recordAudit(audit);
      },
    }),
  });
});

afterAll(() => plane.close());

async function tenant(balance = '0'): Promise<TenantId> {
  return (await plane.make('POST', '/tenants', { name: 'Acme', balance })).id;
}

async function balanceOf(tenantId: string): Promise<string> {
  return (await plane.make('GET', `/tenants/${tenantId}`)).quota.balance;
}

const newKey = () => `key ${counter++}`;

describe('a top-up', () => {
  test('it answers 201 with the transaction, and hot state and the audit log know', async () => {
    const id = await tenant('1');
    const snapshot = await plane.ledger.snapshot(id);
    if (snapshot.kind === 'snapshot') await loadTenant(plane.hotState, snapshot);
    const idempotencyKey = newKey();
    const body = { amount: '0.50', description: 'Invoice 7' };
    const answer = await plane.send('POST', `/tenants/${id}/top-ups`, body, { idempotencyKey });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tenant_id: id,
      api_key_id: null,
      trace_id: idempotencyKey,
      type: 'TOPUP',
      status: 'COMMITTED',
      amount: '0.5',
      currency: 'USD',
      hold_amount: null,
      input_tokens: null,
      output_tokens: null,
      usage: null,
      usage_method: null,
      input_price: null,
      output_price: null,
      rates: null,
      multiplier_ppm: null,
      cost_amount: null,
      seq: 2,
      balance_before: '1',
      balance_after: '1.5',
      provider: null,
      model: null,
      request_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      period_day: null,
      expires_at: null,
      owner: null,
      checkpoint: null,
      reversed_by: null,
      description: 'Invoice 7',
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect((await plane.hotState.look(id))?.projection.balance).toBe(parseAmount('1.5'));
    expect(await plane.store.listAudit({ subject: answer.body.id, limit: 9 })).toEqual([
      expect.objectContaining({
        actor: 'ada',
        action: 'tenant.top_up',
        detail: { tenant_id: id, type: 'TOPUP', amount: '0.5', description: 'Invoice 7' },
      }),
    ]);
  });

  test('repeated and raced under one Idempotency-Key, it is credited once and answers the same', async () => {
    const id = await tenant();
    const idempotencyKey = newKey();
    const send = (amount: string) =>
      plane.send('POST', `/tenants/${id}/top-ups`, { amount }, { idempotencyKey });
    const answers = await Promise.all(['5', '5.0', '5.00', '5'].map(send));
    answers.push(await send('5'));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]?.status).toBe(201);
    expect(await balanceOf(id)).toBe('5');
    expect(await plane.auditOf(answers[0]?.body.id)).toEqual(['tenant.top_up']);
  });

  test('without an Idempotency-Key, each is one of its own', async () => {
    const id = await tenant();
    for (let index = 0; index < 2; index++)
      await plane.make('POST', `/tenants/${id}/top-ups`, { amount: '5' });
    expect(await balanceOf(id)).toBe('10');
  });

  test.each([
    ['another amount', { amount: '6', description: 'x' }],
    ['another description', { amount: '5', description: 'y' }],
    ['no description', { amount: '5' }],
    ['another type', { amount: '5', description: 'x', type: 'ADJUSTMENT' }],
  ])('the same Idempotency-Key with %s is 422 and changes nothing', async (_, other) => {
    const id = await tenant();
    const idempotencyKey = newKey();
    const path = `/tenants/${id}/top-ups`;
    const first = await plane.make('POST', path, { amount: '5', description: 'x' }, { idempotencyKey });
    const { status, body } = await plane.send('POST', path, other, { idempotencyKey });
    expect(status).toBe(422);
    expect(body.error).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', param: 'Idempotency-Key' });
    expect(body.error.message).toContain(first.id);
    expect(await balanceOf(id)).toBe('5');
  });

  test('one Idempotency-Key at two tenants is two top-ups', async () => {
    const [one, other] = [await tenant(), await tenant()];
    const idempotencyKey = newKey();
    for (const id of [one, other]) {
      await plane.make('POST', `/tenants/${id}/top-ups`, { amount: '5' }, { idempotencyKey });
    }
    expect([await balanceOf(one), await balanceOf(other)]).toEqual(['5', '5']);
  });

  test('an unknown tenant is 404', async () => {
    const { status, body } = await plane.send('POST', '/tenants/nobody/top-ups', { amount: '1' });
    expect(status).toBe(404);
    expect(body.error.code).toBe('NOT_FOUND');
  });

  test('an ADJUSTMENT may take money away, below zero too', async () => {
    const id = await tenant('1');
    const body = { amount: '-1.000000001', type: 'ADJUSTMENT', description: 'Correction' };
    expect(await plane.make('POST', `/tenants/${id}/top-ups`, body)).toMatchObject({
      type: 'ADJUSTMENT',
      amount: '-1.000000001',
      balance_after: '-0.000000001',
    });
    expect(await balanceOf(id)).toBe('-0.000000001');
  });

  test.each([
    ['no amount', {}, 'amount', /is required/],
    ['a number', { amount: 10 }, 'amount', /quotes/],
    ['zero', { amount: '0' }, 'amount', /more than zero/],
    ['a negative TOPUP', { amount: '-5' }, 'amount', /ADJUSTMENT/],
    ['an ADJUSTMENT of nothing', { amount: '0.0', type: 'ADJUSTMENT' }, 'amount', /not be zero/],
    ['a CHARGE', { amount: '1', type: 'CHARGE' }, 'type', /one of TOPUP, ADJUSTMENT/],
    ['an unknown member', { amount: '1', note: 'x' }, 'note', /isn't known/],
    ['a comma', { amount: '1,5' }, 'amount', /decimal/],
    ['ten decimals', { amount: '0.0000000001' }, 'amount', /9 decimals/],
  ])('%s is 400 and changes nothing', async (_, body, param, words) => {
    const id = await tenant('1');
    const answer = await plane.send('POST', `/tenants/${id}/top-ups`, body);
    expect(answer.body.error).toMatchObject({
      code: 'REQUEST_INVALID',
      param,
      message: expect.stringMatching(words),
    });
    expect(answer.status).toBe(400);
    expect(await balanceOf(id)).toBe('1');
  });

  test('a balance beyond what the ledger holds is 400; the repeat of what reached it is not', async () => {
    const id = await tenant();
    const options = { idempotencyKey: newKey() };
    const body = { amount: '99999999999.999999999' };
    await plane.make('POST', `/tenants/${id}/top-ups`, body, options);
    const beyond = await plane.send('POST', `/tenants/${id}/top-ups`, { amount: '0.000000001' });
    expect(beyond.status).toBe(400);
    expect(beyond.body.error.param).toBe('amount');
    expect((await plane.send('POST', `/tenants/${id}/top-ups`, body, options)).status).toBe(201);
    expect(await balanceOf(id)).toBe(body.amount);
  });
});

describe('when something fails in between', () => {
  test('a top-up that hot state could not take is answered all the same, and reported', async () => {
    const id = await tenant();
    hotStateIsGone = true;
    const answer = await plane.send('POST', `/tenants/${id}/top-ups`, { amount: '5' });
    hotStateIsGone = false;
    expect(answer.status).toBe(201);
    expect(plane.projectionFailures).toEqual([new Error('hot state is gone')]);
    expect(await balanceOf(id)).toBe('5');
  });

  test('a repeat brings hot state and the audit log up to date', async () => {
    const id = await tenant();
    const snapshot = await plane.ledger.snapshot(id);
    if (snapshot.kind === 'snapshot') await loadTenant(plane.hotState, snapshot);
    const hotBalance = async () => (await plane.hotState.look(id))?.projection.balance;
    const options = { idempotencyKey: newKey() };
    hotStateIsGone = true;
    diesBeforeAudit = true;
    const died = await plane.send('POST', `/tenants/${id}/top-ups`, { amount: '5' }, options);
    hotStateIsGone = false;
    diesBeforeAudit = false;
    expect(died.status).toBe(500);
    expect(await hotBalance()).toBe(0n);
    const { id: transactionId } = await plane.make(
      'POST',
      `/tenants/${id}/top-ups`,
      { amount: '5' },
      options,
    );
    expect(await balanceOf(id)).toBe('5');
    expect(await hotBalance()).toBe(parseAmount('5'));
    expect(await plane.auditOf(transactionId)).toEqual(['tenant.top_up']);
  });
});
