import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { deductionFor } from '../ledger/contract/drafts.contract.ts';

let plane: TestPlane;

beforeAll(async () => {
  plane = await openTestPlane();
});

afterAll(() => plane.close());

const url = 'https://example.com/hooks?from=tollgate';
const tenant = (sent: object = {}) =>
  plane.make('POST', '/tenants', { name: 'Acme', balance: '10', ...sent });

describe('webhooks', () => {
  test('are made with a secret that is shown once, listed without it, and removed', async () => {
    const { id } = await tenant();
    const sent = { url, tenant_id: id, events: ['balance.low', 'quota.low'] };
    const { secret, ...made } = await plane.make('POST', '/webhooks', sent);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(made).toMatchObject({ ...sent, disabled_at: null });
    const { secret: another, ...plain } = await plane.make('POST', '/webhooks', { url });
    expect(another).not.toBe(secret);
    expect(plain).toMatchObject({ url, tenant_id: null, events: null });
    expect((await plane.make('GET', '/webhooks')).data).toEqual([made, plain]);
    expect(await plane.make('DELETE', `/webhooks/${made.id}`)).toEqual(made);
    expect((await plane.make('GET', '/webhooks')).data).toEqual([plain]);
    expect((await plane.send('DELETE', `/webhooks/${made.id}`)).body.error.code).toBe('NOT_FOUND');
    expect(await plane.auditOf(made.id)).toEqual(['webhook.remove', 'webhook.create']);
    const entries = await plane.store.listAudit({ limit: 10 });
    expect(JSON.stringify(entries)).not.toContain('whsec_');
  });

  test.each([
    [{ url: 'ftp://example.com' }, 'url'],
    [{ url: 'https://user:password@example.com' }, 'url'],
    [{ url: 'example.com/hooks' }, 'url'],
    [{}, 'url'],
    [{ url, events: [] }, 'events'],
    [{ url, events: ['balance'] }, 'events[0]'],
    [{ url, secret: 'mine' }, 'secret'],
  ])('are refused as %j', async (sent, param) => {
    const { status, body } = await plane.send('POST', '/webhooks', sent);
    expect([status, body.error.code, body.error.param]).toEqual([400, 'REQUEST_INVALID', param]);
  });

  test('of a tenant that is not there are not found', async () => {
    const { status, body } = await plane.send('POST', '/webhooks', { url, tenant_id: 'nobody' });
    expect([status, body.error.code]).toEqual([404, 'NOT_FOUND']);
  });
});

describe('the thresholds of a tenant', () => {
  test('are given with it and changed, null being the default', async () => {
    const { id, quota } = await tenant({ warning_thresholds: [50, 0] });
    expect(quota.warning_thresholds).toEqual([50, 0]);
    for (const warning_thresholds of [[], null, [100, 1]]) {
      const changed = await plane.make('PATCH', `/tenants/${id}`, { warning_thresholds });
      expect(changed.quota.warning_thresholds).toEqual(warning_thresholds);
    }
    expect((await tenant()).quota.warning_thresholds).toBeNull();
  });

  test.each([[[101]], [[-1]], [[0.5]], [['20']], [[5, 5]], [Array.from({ length: 11 }, (_, i) => i)], [20]])(
    'are refused as %j',
    async (warning_thresholds) => {
      const { id } = await tenant();
      const { status, body } = await plane.send('PATCH', `/tenants/${id}`, { warning_thresholds });
      expect([status, body.error.code]).toEqual([400, 'REQUEST_INVALID']);
      expect(body.error.param).toMatch(/^warning_thresholds/);
    },
  );
});

describe('events', () => {
  test('are listed newest first, of a tenant and in pages, with what came of each delivery', async () => {
    const [one, other] = [await tenant(), await tenant()];
    for (const [id, amount] of [
      [one.id, '9'],
      [other.id, '10'],
      [one.id, '1'],
    ])
      await plane.ledger.deduct(deductionFor(id, amount));
    const { data } = await plane.make('GET', `/events?tenant_id=${one.id}`);
    expect(data).toMatchObject([
      {
        type: 'balance.low',
        data: { tenant_id: one.id, threshold_percent: 0, left: '0', of: '10', currency: 'USD' },
        deliveries: [],
      },
      { type: 'balance.low', data: { threshold_percent: 20, left: '1', of: '10' } },
    ]);
    const first = await plane.make('GET', '/events?limit=2');
    expect(first.data.map((event: { data: object }) => event.data)).toMatchObject([
      { tenant_id: one.id },
      { tenant_id: other.id },
    ]);
    const second = await plane.make('GET', `/events?limit=2&cursor=${first.next_cursor}`);
    expect(second).toEqual({ data: [data[1]], next_cursor: null });
  });
});
