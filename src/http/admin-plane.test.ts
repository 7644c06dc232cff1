import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { Fault, refusal } from '../domain/errors.ts';
import { adminPlane } from './admin-plane.ts';

let plane: TestPlane;
let failure: Error | null = null;

beforeAll(async () => {
  plane = await openTestPlane({
    wrapStore: (store) => ({
      ...store,
      listUpstreams: async () => {
        if (failure !== null) throw failure;
        return await store.listUpstreams();
      },
    }),
  });
});

afterAll(() => plane.close());

const raw = (payload: string, contentType = 'application/json') =>
  plane.app.inject({
    method: 'POST',
    url: '/admin/v1/tenants',
    headers: { authorization: `Bearer ${plane.token}`, 'content-type': contentType },
    payload,
  });

describe('authentication', () => {
  test.each([
    ['no header', undefined],
    ['no token', 'Bearer '],
    ['another scheme', 'Basic YWRhOmFkYQ=='],
    ['an unknown token', 'Bearer tga_unknown'],
    ['two tokens', 'Bearer a b'],
  ])('%s is 401 and says which header is wanted', async (_, authorization) => {
    for (const url of ['/admin/v1/tenants', '/admin/v1/nothing']) {
      const headers = authorization === undefined ? {} : { authorization };
      const response = await plane.app.inject({ method: 'GET', url, headers });
      expect(response.statusCode).toBe(401);
      expect(response.json().error).toMatchObject({
        code: 'API_KEY_INVALID',
        message: expect.stringMatching(/Authorization: Bearer.*first start/),
      });
    }
  });

  test("a tenant's API key is no admin token", async () => {
    const { id } = await plane.make('POST', '/tenants', { name: 'Acme' });
    const { secret } = await plane.make('POST', `/tenants/${id}/api-keys`, { name: 'a' });
    const headers = { authorization: `Bearer ${secret}` };
    expect((await plane.send('GET', '/tenants', undefined, { headers })).status).toBe(401);
  });

  test('an admin token by another scheme is 401', async () => {
    const headers = { authorization: `Basic ${plane.token}` };
    expect((await plane.send('GET', '/tenants', undefined, { headers })).status).toBe(401);
  });

  test('the scheme is read in any case', async () => {
    const headers = { authorization: `bearer ${plane.token}` };
    expect((await plane.send('GET', '/tenants', undefined, { headers })).status).toBe(200);
  });

  test('who is no admin changes nothing, whatever is sent', async () => {
    const headers = { authorization: 'Bearer tga_unknown' };
    const before = await plane.store.listTenants({ limit: 1000 });
    expect((await plane.send('POST', '/tenants', { name: 'A' }, { headers })).status).toBe(401);
    expect(await plane.store.listTenants({ limit: 1000 })).toEqual(before);
  });
});

describe('what cannot be read', () => {
  test.each([
    ['half an object', '{"name": "A"'],
    ['no JSON', 'name=A'],
    ['a poisoned prototype', '{"name": "A", "__proto__": {}}'],
  ])('%s is 400', async (_, payload) => {
    const response = await raw(payload);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toEqual({
      error: { code: 'REQUEST_INVALID', message: 'The body could not be read as JSON.' },
    });
  });

  test('another content type is 400 and says which one is wanted', async () => {
    const response = await raw('{"name": "A"}', 'application/x-www-form-urlencoded');
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('application/json'),
    });
  });

  test('a body over 1 MiB is 413', async () => {
    const response = await raw(JSON.stringify({ name: 'a'.repeat(1024 * 1024) }));
    expect(response.statusCode).toBe(413);
    expect(response.json().error.code).toBe('REQUEST_TOO_LARGE');
  });

  test.each([
    ['GET', '/nothing'],
    ['PUT', '/tenants'],
    ['GET', '/'],
    ['GET', '/tenants/a/b'],
  ] as const)('%s %s is 404', async (method, path) => {
    const { status, body } = await plane.send(method, path);
    expect(status).toBe(404);
    expect(body.error).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining(method) });
  });
});

describe('failures', () => {
  const ask = async (thrown: Error) => {
    failure = thrown;
    const answer = await plane.send('GET', '/upstreams');
    failure = null;
    return answer;
  };

  test('a Fault is answered by the status of its code and its public message', async () => {
    const cause = new Error('connect ECONNREFUSED 10.0.0.7');
    const { status, body } = await ask(
      new Fault('LEDGER_UNAVAILABLE', 'The ledger is not available.', { cause }),
    );
    expect(status).toBe(503);
    expect(body).toEqual({ error: { code: 'LEDGER_UNAVAILABLE', message: 'The ledger is not available.' } });
  });

  test.each([
    ['an error', new TypeError("can't read password of undefined")],
    ['a Fault of ours', new Fault('INTERNAL', 'Unexpected variant {"credential":"password"}')],
  ])('%s is 500 with a reference and nothing of what is inside', async (_, thrown) => {
    const { status, body } = await ask(thrown);
    expect(status).toBe(500);
    expect(body.error.code).toBe('INTERNAL');
    expect(body.error.message).toMatch(/reference [0-9a-f-]{36}/);
    expect(JSON.stringify(body)).not.toContain('password');
  });

  test('whoever watches is told the error under the reference of the answer', async () => {
    const faults: Error[] = [];
    const app = Fastify({ routerOptions: { maxParamLength: 500 } });
    const call = { method: 'GET' as const, path: '/broken', changesCatalog: true };
    await app.register(
      adminPlane({
        calls: [{ ...call, handle: () => Promise.reject(new Error('the reason')) }],
        admins: plane.catalog,
        newId: () => 'reference-1',
        onFault: (_, error) => faults.push(error as Error),
        onCatalogChange: () => undefined,
      }),
    );
    const headers = { authorization: `Bearer ${plane.token}` };
    const response = await app.inject({ method: 'GET', url: '/admin/v1/broken', headers });
    expect(response.json().error.message).toContain('reference-1');
    expect(faults.map(({ message, cause }) => [message, cause])).toEqual([
      ['reference reference-1', new Error('the reason')],
    ]);
    await app.close();
  });
});

describe('mounting', () => {
  async function planeOf(answer: () => Promise<ReturnType<typeof refusal>>) {
    let changes = 0;
    const app = Fastify({ routerOptions: { maxParamLength: 500 } });
    const call = { method: 'GET' as const, handle: answer };
    await app.register(
      adminPlane({
        calls: [
          { ...call, path: '/changing', changesCatalog: true },
          { ...call, path: '/reading', changesCatalog: false },
        ],
        admins: plane.catalog,
        newId: () => 'reference',
        onFault: () => undefined,
        onCatalogChange: () => changes++,
      }),
    );
    const ask = async (path: string) => {
      const headers = { authorization: `Bearer ${plane.token}` };
      const response = await app.inject({ method: 'GET', url: `/admin/v1${path}`, headers });
      return { response, changes };
    };
    return { ask, close: () => app.close() };
  }

  test('a call that changes the catalogue says so before its answer, even when its outcome is unknown', async () => {
    const { ask, close } = await planeOf(() => Promise.reject(new Error('the connection broke')));
    expect((await ask('/reading')).changes).toBe(0);
    expect((await ask('/changing')).changes).toBe(1);
    await close();
  });

  test('a refusal that knows when to come back says so in a header', async () => {
    const { ask, close } = await planeOf(async () =>
      refusal('OVERLOADED', 'Later.', { retryAfterSeconds: 7 }),
    );
    const { response } = await ask('/reading');
    expect(response.statusCode).toBe(503);
    expect(response.headers['retry-after']).toBe('7');
    await close();
  });

  test('a server whose router would cut off ids is refused at the start', async () => {
    const app = Fastify();
    await expect(
      app.register(
        adminPlane({
          calls: [],
          admins: plane.catalog,
          newId: () => '',
          onFault: () => undefined,
          onCatalogChange: () => undefined,
        }),
      ),
    ).rejects.toThrow(/maxParamLength/);
  });
});
