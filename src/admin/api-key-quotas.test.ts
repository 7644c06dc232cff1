import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { loadTenant, plainKey } from '../../test/support/hot-state.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { nano } from '../domain/money.ts';

let plane: TestPlane;

beforeAll(async () => {
  plane = await openTestPlane();
  plane.time.nowMs = Date.parse('2026-11-23T12:00:00Z');
});

afterAll(() => plane.close());

const daily = { quota_type: 'requests', reset_period: 'daily', total_quota: 0 };
const monthly = { quota_type: 'amount', reset_period: 'monthly', total_quota: '25.000000001' };
const ever = { quota_type: 'tokens', reset_period: 'never', total_quota: 1_000_000 };

async function tenant(): Promise<string> {
  const made = await plane.make('POST', '/tenants', {
    name: 'Acme',
    time_zone: 'Europe/Berlin',
    balance: '10',
  });
  const snapshot = await plane.ledger.snapshot(made.id as TenantId);
  if (snapshot.kind !== 'snapshot') throw new Error('no snapshot');
  await loadTenant(plane.hotState, { projection: snapshot.projection });
  return made.id;
}

/** Which limit stands in the way of a request of an API key now; null is none. */
async function obstacle(tenantId: string, apiKeyId: string): Promise<string | null> {
  const name = `${tenantId} ${Math.random()}`;
  const answer = await plane.hotState.check({
    ...plainKey,
    tenantId: tenantId as TenantId,
    apiKeyId: apiKeyId as ApiKeyId,
    traceId: name as TraceId,
    holder: name as TransactionId,
    holdAmount: nano(1n),
  });
  return answer.kind === 'denied' ? answer.limit : null;
}

describe('the quotas of an API key', () => {
  test('are given with it, hold at once, and are shown with what is used and when they begin anew', async () => {
    const id = await tenant();
    const sent = { name: 'laptop', quotas: [ever, monthly, daily] };
    const { secret, ...made } = await plane.make('POST', `/tenants/${id}/api-keys`, sent);
    expect(made.quotas).toEqual([
      { ...monthly, used_quota: '0', reset_at: '2026-11-30T23:00:00.000Z' },
      { ...daily, used_quota: 0, reset_at: '2026-11-23T23:00:00.000Z' },
      { ...ever, used_quota: 0, reset_at: null },
    ]);
    expect(await plane.make('GET', `/tenants/${id}/api-keys/${made.id}`)).toEqual(made);
    expect((await plane.make('GET', `/tenants/${id}/api-keys`)).data).toEqual([made]);
    expect(await obstacle(id, made.id)).toBe('api_key_requests');
    const [entry] = await plane.store.listAudit({ subject: made.id, limit: 1 });
    expect(entry?.detail).toMatchObject({ quotas: sent.quotas });
  });

  test('are changed without the rest, and taken away by an empty list', async () => {
    const id = await tenant();
    const path = `/tenants/${id}/api-keys`;
    const made = await plane.make('POST', path, { name: 'a', rpm_limit: 7, quotas: [daily, ever] });
    const changed = await plane.make('PATCH', `${path}/${made.id}`, {
      quotas: [{ ...daily, total_quota: 5 }],
    });
    expect(changed).toMatchObject({ name: 'a', rpm_limit: 7, quotas: [{ ...daily, total_quota: 5 }] });
    expect(changed.quotas).toHaveLength(1);
    expect(await obstacle(id, made.id)).toBeNull();
    await plane.make('PATCH', `${path}/${made.id}`, { quotas: [daily] });
    expect(await obstacle(id, made.id)).toBe('api_key_requests');
    const without = await plane.make('PATCH', `${path}/${made.id}`, { quotas: [] });
    expect(without.quotas).toEqual([]);
    expect(await obstacle(id, made.id)).toBeNull();
    expect(await plane.make('PATCH', `${path}/${made.id}`, { name: 'b' })).toMatchObject({ quotas: [] });
  });

  test('stay where only something else is changed, and are not given to a key that is not there', async () => {
    const id = await tenant();
    const path = `/tenants/${id}/api-keys`;
    const made = await plane.make('POST', path, { name: 'a', quotas: [daily] });
    expect(await plane.make('PATCH', `${path}/${made.id}`, { name: 'b' })).toMatchObject({ quotas: [daily] });
    const answer = await plane.send('PATCH', `${path}/nobody`, { quotas: [daily] });
    expect(answer.status).toBe(404);
    const snapshot = await plane.ledger.snapshot(id as TenantId);
    if (snapshot.kind !== 'snapshot') throw new Error('no snapshot');
    expect(snapshot.projection.apiKeyQuotas.map(({ apiKeyId }) => apiKeyId)).toEqual([made.id]);
  });

  test.each([
    ['a type that is none', [{ ...daily, quota_type: 'words' }], 'quotas[0].quota_type', /requests, tokens/],
    [
      'a period that is none',
      [{ ...daily, reset_period: 'weekly' }],
      'quotas[0].reset_period',
      /daily, monthly/,
    ],
    ['an amount as a number', [{ ...monthly, total_quota: 25 }], 'quotas[0].total_quota', /in quotes/],
    ['an amount below zero', [{ ...monthly, total_quota: '-1' }], 'quotas[0].total_quota', /zero or more/],
    ['half a request', [ever, { ...daily, total_quota: 1.5 }], 'quotas[1].total_quota', /whole number/],
    ['no total', [{ quota_type: 'tokens', reset_period: 'never' }], 'quotas[0].total_quota', /is required/],
    ['one twice', [daily, { ...daily, total_quota: 2 }], 'quotas', /one quota of each/],
    ['an unknown member', [{ ...daily, used_quota: 0 }], 'quotas[0].used_quota', /isn't known/],
  ])('%s is 400 and gives nothing', async (_, quotas, param, words) => {
    const id = await tenant();
    const answer = await plane.send('POST', `/tenants/${id}/api-keys`, { name: 'a', quotas });
    expect(answer.body.error).toMatchObject({ param, message: expect.stringMatching(words) });
    expect(answer.status).toBe(400);
    expect((await plane.make('GET', `/tenants/${id}/api-keys`)).data).toEqual([]);
  });
});

describe('beginning counters anew', () => {
  async function used(id: string, apiKeyId: string) {
    const snapshot = await plane.ledger.snapshot(id as TenantId);
    if (snapshot.kind !== 'snapshot') throw new Error('no snapshot');
    return {
      daily: snapshot.projection.dailyUsed,
      monthly: snapshot.projection.monthlyUsed,
      quotas: snapshot.projection.apiKeyQuotas
        .filter((one) => one.apiKeyId === apiKeyId)
        .map(({ quotaType, used }) => `${quotaType} ${used}`)
        .sort(),
    };
  }

  /** Counters as if a request had been committed today. */
  async function spent() {
    const id = await tenant();
    const quotas = [
      { ...daily, total_quota: 1 },
      { ...ever, total_quota: 30 },
    ];
    await plane.make('PATCH', `/tenants/${id}`, { daily_quota: 1, monthly_quota: 1 });
    const key = await plane.make('POST', `/tenants/${id}/api-keys`, { name: 'a', quotas });
    await plane.driver.query(
      `UPDATE tenant_quota SET daily_used = 1, monthly_used = 1, daily_period = '2026-11-23', monthly_period = '2026-11-01', version = version + 1 WHERE tenant_id = $1`,
      [id],
    );
    await plane.driver.query(
      `UPDATE api_key_quota SET used_quota = total_quota, period = CASE reset_period WHEN 'daily' THEN date '2026-11-23' END WHERE tenant_id = $1`,
      [id],
    );
    const snapshot = await plane.ledger.snapshot(id as TenantId);
    if (snapshot.kind !== 'snapshot') throw new Error('no snapshot');
    await plane.hotState.project(snapshot.projection);
    return { id, apiKeyId: key.id };
  }

  test('of the day, the month and one quota takes effect at once, and leaves the others', async () => {
    const { id, apiKeyId } = await spent();
    expect(await obstacle(id, apiKeyId)).toBe('daily_requests');
    const { quota } = await plane.make('POST', `/tenants/${id}/resets`, { daily: true });
    expect(quota).toMatchObject({ daily_used: 0, monthly_used: 1 });
    expect(await obstacle(id, apiKeyId)).toBe('monthly_requests');
    await plane.make('POST', `/tenants/${id}/resets`, { monthly: true });
    expect(await obstacle(id, apiKeyId)).toBe('api_key_requests');
    const name = { api_key_id: apiKeyId, quota_type: 'requests', reset_period: 'daily' };
    await plane.make('POST', `/tenants/${id}/resets`, { api_key_quotas: [name] });
    expect(await used(id, apiKeyId)).toEqual({ daily: 0, monthly: 0, quotas: ['requests 0', 'tokens 30'] });
    expect(await obstacle(id, apiKeyId)).toBeNull();
    expect((await plane.auditOf(id)).filter((action) => action === 'tenant.reset')).toHaveLength(3);
  });

  test.each([
    ['nothing', {}, undefined, /must name what/],
    ['only what is not to be', { daily: false }, undefined, /must name what/],
    ['no quotas', { api_key_quotas: [] }, 'api_key_quotas', /list of 1 to 1000/],
    ['half a name', { api_key_quotas: [{ api_key_id: 'a' }] }, 'api_key_quotas[0].quota_type', /is required/],
  ])('of %s is 400 and changes nothing', async (_, body, param, words) => {
    const { id, apiKeyId } = await spent();
    const before = await used(id, apiKeyId);
    const answer = await plane.send('POST', `/tenants/${id}/resets`, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toMatch(words);
    if (param !== undefined) expect(answer.body.error.param).toBe(param);
    expect(await used(id, apiKeyId)).toEqual(before);
  });

  test('of a tenant that is not there is 404', async () => {
    expect((await plane.send('POST', '/tenants/nobody/resets', { daily: true })).status).toBe(404);
  });
});
