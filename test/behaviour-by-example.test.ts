import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../src/domain/clock.ts';
import { hashRequest, type TenantId, type TraceId, type TransactionId } from '../src/domain/ids.ts';
import { formatAmount, parseAmount } from '../src/domain/money.ts';
import { createMemoryHotState } from '../src/hot-state/memory.ts';
import { openPglite } from '../src/ledger/drivers/pglite.ts';
import { createSqlLedger } from '../src/ledger/sql-ledger.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
  transactionsOf,
} from './support/gateway.ts';
import { loadTenant, plainKey } from './support/hot-state.ts';
import { newDataDir } from './support/template.ts';

// DESIGN.md section 9, line by line and with its numbers: rates of 0.001 and 0.002 per 1k, a balance of
// 100.00, a daily quota of 1000 and a monthly one of 30000.

const quotas = { balance: '100.00', daily_quota: 1000, monthly_quota: 30_000 };
const messages = [{ role: 'user', content: 'Tell me of the sea.' }];

let gateway: TestGateway;
let simulator: Simulator;

beforeAll(async () => {
  simulator = await startSimulator();
  gateway = await startGateway();
});

afterAll(async () => {
  await gateway.stop();
  await simulator.close();
});

const bearer = (apiKey: string) => ({ authorization: `Bearer ${apiKey}` });
const quotaOf = async (id: string) => (await gateway.admin('GET', `/tenants/${id}`)).quota;

/** An upstream that answers with exactly these numbers of tokens. */
async function modelOf(name: string, directives: string): Promise<void> {
  await addModel(gateway, name, {
    baseUrl: simulator.url,
    upstreamModel: `sim?ttfb_ms=0&tokens_per_second=0&${directives}`,
  });
}

describe('a fresh tenant', () => {
  it('passes quota_check with balance 100.00, daily 1000 and monthly 30000', async () => {
    const tenant = await addTenant(gateway, quotas);
    expect(await quotaOf(tenant.id)).toMatchObject({
      balance: '100',
      available: '100',
      held: '0',
      daily_quota: 1000,
      daily_used: 0,
      monthly_quota: 30_000,
      monthly_used: 0,
    });
    await modelOf('fresh', 'tokens=5');
    const answer = await gateway.call(
      '/v1/chat/completions',
      { model: 'fresh', messages },
      bearer(tenant.apiKey),
    );
    expect(answer.status).toBe(200);
  });
});

describe('a balance of 0.01 and a worst case above it', () => {
  it('is QUOTA_BALANCE_EXCEEDED, and nothing changed', async () => {
    await modelOf('costly', 'tokens=5');
    const tenant = await addTenant(gateway, { ...quotas, balance: '0.01' });
    const before = await quotaOf(tenant.id);
    const request = { model: 'costly', messages, max_tokens: 10_000 };
    const answer = await gateway.call('/v1/chat/completions', request, bearer(tenant.apiKey));
    expect(answer.status).toBe(402);
    expect(answer.json.error.code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect(await quotaOf(tenant.id)).toEqual(before);
    expect(await transactionsOf(gateway, tenant.id)).toHaveLength(1);
  });
});

describe('a daily_used of 1000', () => {
  it('is QUOTA_DAILY_EXCEEDED', async () => {
    const dataDir = await newDataDir();
    const driver = await openPglite(dataDir.path);
    const ledger = createSqlLedger({ driver });
    const hotState = createMemoryHotState({ clock: systemClock });
    const tenantId = 'used-up' as TenantId;
    const today = new Date().toISOString().slice(0, 10);
    await driver.query('INSERT INTO tenant (tenant_id, name) VALUES ($1, $1)', [tenantId]);
    await driver.query(
      `INSERT INTO tenant_quota (tenant_id, balance, currency, time_zone, daily_quota, daily_used, daily_period)
       VALUES ($1, 100, 'USD', 'UTC', 1000, 1000, $2)`,
      [tenantId, today],
    );
    const snapshot = await ledger.snapshot(tenantId);
    if (snapshot.kind !== 'snapshot') throw new Error('the tenant is not there');
    await loadTenant(hotState, snapshot);
    const check = {
      ...plainKey,
      tenantId,
      traceId: 'trace' as TraceId,
      holder: 'holder' as TransactionId,
      holdAmount: parseAmount('0.01'),
    };
    expect(await hotState.check(check)).toMatchObject({ kind: 'denied', limit: 'daily_requests' });
    await driver.close();
    await dataDir.remove();
  });

  it('is a 429 that says when to come back', async () => {
    await modelOf('limited', 'tokens=5');
    const tenant = await addTenant(gateway, { ...quotas, daily_quota: 2 });
    const ask = () =>
      gateway.call('/v1/chat/completions', { model: 'limited', messages }, bearer(tenant.apiKey));
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 200]);
    const denied = await ask();
    expect(denied.status).toBe(429);
    expect(denied.json.error.code).toBe('QUOTA_DAILY_EXCEEDED');
    expect(Number(denied.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(denied.headers.get('retry-after'))).toBeLessThanOrEqual(86_400);
  });
});

describe('100 input and 200 output tokens, not a stream', () => {
  it('are committed at 0.0005, leave 99.9995, and count once in day and month', async () => {
    // The prompt is as long as it has to be for upstream to count 100 tokens.
    const fixed = await countPrompt('');
    const content = ' a'.repeat(100 - fixed);
    await modelOf('exact', 'tokens=200');
    const tenant = await addTenant(gateway, quotas);
    const answer = await gateway.call(
      '/v1/chat/completions',
      { model: 'exact', messages: [{ role: 'user', content }] },
      bearer(tenant.apiKey),
    );
    expect(answer.json.usage).toMatchObject({ prompt_tokens: 100, completion_tokens: 200 });
    expect(answer.headers.get('x-billing-amount')).toBe('0.0005');
    expect(answer.headers.get('x-billing-balance')).toBe('99.9995');
    const [, charge] = await settledTransactionsOf(gateway, tenant.id);
    expect(charge).toMatchObject({ status: 'COMMITTED', amount: '0.0005', balance_after: '99.9995' });
    expect(await quotaOf(tenant.id)).toMatchObject({
      balance: '99.9995',
      held: '0',
      daily_used: 1,
      monthly_used: 1,
    });
  });

  async function countPrompt(content: string): Promise<number> {
    await modelOf('counting', 'tokens=1');
    const tenant = await addTenant(gateway, quotas);
    const body = { model: 'counting', messages: [{ role: 'user', content }] };
    const answer = await gateway.call('/v1/chat/completions', body, bearer(tenant.apiKey));
    return answer.json.usage.prompt_tokens;
  }
});

describe('a stream that has begun', () => {
  it('has a PENDING transaction, while balance and used are untouched and money is held', async () => {
    await addModel(gateway, 'slow', {
      baseUrl: simulator.url,
      upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=20&tokens=4000',
    });
    const tenant = await addTenant(gateway, quotas);
    const controller = new AbortController();
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: bearer(tenant.apiKey),
      body: JSON.stringify({ model: 'slow', messages, stream: true, max_tokens: 4000 }),
      signal: controller.signal,
    });
    const reader = response.body!.getReader();
    await reader.read();
    const [, open] = await transactionsOf(gateway, tenant.id);
    expect(open).toMatchObject({ status: 'PENDING', amount: null });
    const quota = await quotaOf(tenant.id);
    expect(quota).toMatchObject({ balance: '100', daily_used: 0, monthly_used: 0, held: open.hold_amount });
    expect(Number(quota.held)).toBeGreaterThan(0);
    controller.abort();
    await settledTransactionsOf(gateway, tenant.id);
    expect(await quotaOf(tenant.id)).toMatchObject({ held: '0', daily_used: 1, monthly_used: 1 });
  });
});

describe('a deduction of 0.50, twice with one trace id', () => {
  it('is one transaction with balance_after 99.50, and counts once', async () => {
    const dataDir = await newDataDir();
    const driver = await openPglite(dataDir.path);
    const ledger = createSqlLedger({ driver });
    const tenantId = 'deducted' as TenantId;
    await driver.query('INSERT INTO tenant (tenant_id, name) VALUES ($1, $1)', [tenantId]);
    await driver.query(
      `INSERT INTO tenant_quota (tenant_id, currency, time_zone) VALUES ($1, 'USD', 'UTC')`,
      [tenantId],
    );
    const id = () => randomUUIDv7() as TransactionId;
    const traceId = 'trace' as TraceId;
    const requestHash = hashRequest('the same');
    await ledger.credit({
      id: id(),
      tenantId,
      traceId: 'top-up' as TraceId,
      requestHash,
      type: 'TOPUP',
      amount: parseAmount('100.00'),
      description: null,
    });
    const deduction = {
      tenantId,
      apiKeyId: null,
      traceId,
      requestHash,
      amount: parseAmount('0.50'),
      metered: null,
      model: null,
      periodDay: '2026-11-23',
      description: null,
    };
    const answers = [
      await ledger.deduct({ ...deduction, id: id() }),
      await ledger.deduct({ ...deduction, id: id() }),
    ];
    expect(answers.map(({ kind }) => kind)).toEqual(['posted', 'duplicate']);
    const snapshot = await ledger.snapshot(tenantId);
    if (snapshot.kind !== 'snapshot') throw new Error('the tenant is not there');
    const { balance, dailyUsed, monthlyUsed } = snapshot.projection;
    expect([formatAmount(balance), dailyUsed, monthlyUsed]).toEqual(['99.5', 1, 1]);
    expect(await ledger.list({ tenantId, limit: 10 })).toHaveLength(2);
    await driver.close();
    await dataDir.remove();
  });
});

describe('a pending that is committed with 100 and 200 tokens', () => {
  it('is the same row, COMMITTED, with those tokens, counted once', async () => {
    await addModel(gateway, 'pausing', {
      baseUrl: simulator.url,
      upstreamModel: 'sim?ttfb_ms=0&tokens_per_second=150&tokens=200',
    });
    const tenant = await addTenant(gateway, quotas);
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: bearer(tenant.apiKey),
      body: JSON.stringify({
        model: 'pausing',
        messages: [{ role: 'user', content: ' a'.repeat(93) }],
        stream: true,
      }),
    });
    const reader = response.body!.getReader();
    await reader.read();
    const [, open] = await transactionsOf(gateway, tenant.id);
    expect(open.status).toBe('PENDING');
    while (!(await reader.read()).done);
    const [, closed] = await transactionsOf(gateway, tenant.id);
    expect(closed).toMatchObject({
      id: open.id,
      trace_id: open.trace_id,
      status: 'COMMITTED',
      output_tokens: 200,
    });
    expect(closed.input_tokens).toBe(100);
    expect(closed.amount).toBe('0.0005');
    expect(await quotaOf(tenant.id)).toMatchObject({ daily_used: 1, monthly_used: 1 });
  });
});
