import { describe, expect, it, test } from 'vitest';
import type { TenantId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { reconcileCalls } from './reconcile.ts';

const known = 'acme' as TenantId;

function call() {
  const asked: (TenantId | null)[] = [];
  const audited: unknown[] = [];
  const catalog = {
    findTenant: async (id: TenantId) => (id === known ? { id } : undefined),
    recordAudit: async (entry: unknown) => void audited.push(entry),
  };
  const [reconcile] = reconcileCalls({
    catalog: catalog as unknown as Parameters<typeof reconcileCalls>[0]['catalog'],
    reconcile: async (tenantId) => {
      asked.push(tenantId);
      const tenants = [{ tenantId: known, amount: parseAmount('0.5'), what: ['it differs'] }];
      return { checked: 3, differing: 1, repaired: 1, amount: parseAmount('0.5'), tenants };
    },
  });
  const request = { params: {}, query: {}, idempotencyKey: null, actor: 'test' };
  return { asked, audited, send: (body: unknown) => reconcile!.handle({ ...request, body }) };
}

describe('POST /reconcile', () => {
  test.each([
    [undefined, null],
    [{}, null],
    [{ tenant_id: known }, known],
  ])('with %j compares what it names, and tells what differed', async (body, tenantId) => {
    const { asked, audited, send } = call();
    expect(await send(body)).toEqual({
      kind: 'ok',
      body: {
        checked: 3,
        differing: 1,
        repaired: 1,
        amount: '0.5',
        tenants: [{ tenant_id: known, amount: '0.5', differences: ['it differs'] }],
      },
    });
    expect(asked).toEqual([tenantId]);
    const detail = { checked: 3, differing: 1, repaired: 1 };
    expect(audited).toEqual([{ actor: 'test', action: 'reconcile', subject: tenantId ?? '*', detail }]);
  });

  it('knows no tenant that is not there', async () => {
    const { asked, send } = call();
    expect(await send({ tenant_id: 'nobody' })).toMatchObject({ kind: 'refused', code: 'NOT_FOUND' });
    expect(asked).toEqual([]);
  });

  it.each([{ tenant_id: 5 }, { tenant: known }, []])('refuses %j', async (body) => {
    const { asked, send } = call();
    expect(await send(body)).toMatchObject({ kind: 'refused', code: 'REQUEST_INVALID' });
    expect(asked).toEqual([]);
  });
});
