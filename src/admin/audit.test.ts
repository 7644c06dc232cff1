import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AnyJson, openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';

let plane: TestPlane;

beforeAll(async () => {
  plane = await openTestPlane();
});

afterAll(() => plane.close());

describe('the audit log', () => {
  test('it tells who did what, newest first, page by page', async () => {
    const { id } = await plane.make('POST', '/tenants', { name: 'Acme' });
    await plane.make('PATCH', `/tenants/${id}`, { rpm_limit: 1 });
    await plane.make('PATCH', `/tenants/${id}`, { rpm_limit: 2 });
    const page = await plane.make('GET', `/audit?subject=${id}&limit=2`);
    expect(page.data.map((entry: AnyJson) => entry.detail.rpm_limit)).toEqual([2, 1]);
    expect(page.data[0]).toEqual({
      id: expect.stringMatching(/^\d+$/),
      at: expect.any(String),
      actor: 'ada',
      action: 'tenant.change_limits',
      subject: id,
      detail: { rpm_limit: 2 },
    });
    const rest = await plane.make('GET', `/audit?subject=${id}&limit=2&cursor=${page.next_cursor}`);
    expect(rest.data.map((entry: AnyJson) => entry.action)).toEqual(['tenant.create']);
    expect(rest.next_cursor).toBeNull();
  });

  test('a cursor that is none is 400', async () => {
    const { status, body } = await plane.send('GET', '/audit?cursor=x');
    expect(status).toBe(400);
    expect(body.error.param).toBe('cursor');
  });
});
