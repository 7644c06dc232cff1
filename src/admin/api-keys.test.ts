import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import { hashSecret } from '../domain/ids.ts';

let plane: TestPlane;

beforeAll(async () => {
  plane = await openTestPlane();
});

afterAll(() => plane.close());

async function tenant(): Promise<string> {
  return (await plane.make('POST', '/tenants', { name: 'Acme' })).id;
}

describe('creating an API key', () => {
  test('it answers 201 with the secret, which opens the data plane at once and is shown once', async () => {
    const id = await tenant();
    const sent = {
      name: 'laptop',
      models: ['openai/gpt-4o', 'sim-small'],
      expires_at: '2999-01-02T03:04:05+02:00',
    };
    const { status, body } = await plane.send('POST', `/tenants/${id}/api-keys`, sent);
    expect(status).toBe(201);
    const { secret, ...shown } = body;
    expect(secret).toMatch(/^tg_[A-Za-z0-9_-]{43}$/);
    expect(shown).toEqual({
      id: expect.any(String),
      tenant_id: id,
      name: 'laptop',
      prefix: secret.slice(0, 10),
      models: ['openai/gpt-4o', 'sim-small'],
      expires_at: '2999-01-02T01:04:05.000Z',
      rpm_limit: null,
      tpm_limit: null,
      max_open_requests: null,
      allowed_networks: null,
      quotas: [],
      revoked_at: null,
      created_at: expect.any(String),
    });
    expect((await plane.catalog.findApiKey(hashSecret(secret)))?.apiKey.id).toBe(body.id);
    expect(await plane.make('GET', `/tenants/${id}/api-keys`)).toEqual({ data: [shown], next_cursor: null });
    expect(await plane.make('GET', `/tenants/${id}/api-keys/${body.id}`)).toEqual(shown);
  });

  test('neither SQL nor the audit log holds the secret', async () => {
    const id = await tenant();
    const { id: apiKeyId, secret } = await plane.make('POST', `/tenants/${id}/api-keys`, { name: 'a' });
    const entries = await plane.store.listAudit({ subject: apiKeyId, limit: 10 });
    expect(entries.map((entry) => entry.action)).toEqual(['api_key.create']);
    const rows = await plane.driver.query('SELECT * FROM api_key WHERE id = $1', [apiKeyId]);
    for (const stored of [entries, rows]) {
      expect(JSON.stringify(stored)).not.toContain(secret);
      expect(JSON.stringify(stored)).not.toContain(secret.slice(12));
    }
    expect(JSON.stringify(entries)).not.toContain(hashSecret(secret));
  });

  test('an unknown tenant is 404', async () => {
    const { status, body } = await plane.send('POST', '/tenants/nobody/api-keys', { name: 'a' });
    expect(status).toBe(404);
    expect(body.error.code).toBe('NOT_FOUND');
  });

  test.each([
    ['no name', {}, 'name', /is required/],
    ['no models at all', { name: 'a', models: [] }, 'models', /list of model names/],
    ['an empty model', { name: 'a', models: ['x', ''] }, 'models[1]', /1 to 256 characters/],
    ['a model that is no text', { name: 'a', models: [1] }, 'models[0]', /string/],
    ['an expiry in the past', { name: 'a', expires_at: '2001-01-01T00:00:00Z' }, 'expires_at', /future/],
    ['an expiry without a zone', { name: 'a', expires_at: '2999-01-01T00:00:00' }, 'expires_at', /ISO 8601/],
    ['a day that is none', { name: 'a', expires_at: '2999-02-30T00:00:00Z' }, 'expires_at', /ISO 8601/],
    ['quotas that are no list', { name: 'a', quotas: {} }, 'quotas', /list of quotas/],
    ['an unknown member', { name: 'a', scopes: [] }, 'scopes', /isn't known/],
  ])('%s is 400 and creates nothing', async (_, body, param, words) => {
    const id = await tenant();
    const answer = await plane.send('POST', `/tenants/${id}/api-keys`, body);
    expect(answer.body.error).toMatchObject({
      code: 'REQUEST_INVALID',
      param,
      message: expect.stringMatching(words),
    });
    expect(answer.status).toBe(400);
    expect((await plane.make('GET', `/tenants/${id}/api-keys`)).data).toEqual([]);
  });
});

describe('revoking an API key', () => {
  test('it answers 200, and the data plane sees it before the answer', async () => {
    const id = await tenant();
    const { id: apiKeyId, secret } = await plane.make('POST', `/tenants/${id}/api-keys`, { name: 'a' });
    const seen = async () => (await plane.catalog.findApiKey(hashSecret(secret)))?.apiKey.revokedAt;
    expect(await seen()).toBeNull();
    const { status, body } = await plane.send('DELETE', `/tenants/${id}/api-keys/${apiKeyId}`);
    expect(status).toBe(200);
    expect(body.revoked_at).toEqual(expect.any(String));
    expect((await seen())?.toISOString()).toBe(body.revoked_at);
    expect(await plane.auditOf(apiKeyId)).toEqual(['api_key.revoke', 'api_key.create']);
  });

  test('revoking again answers the same', async () => {
    const id = await tenant();
    const { id: apiKeyId } = await plane.make('POST', `/tenants/${id}/api-keys`, { name: 'a' });
    const first = await plane.make('DELETE', `/tenants/${id}/api-keys/${apiKeyId}`);
    // Some clients send a content type with every request.
    const headers = { 'content-type': 'application/json' };
    expect(await plane.make('DELETE', `/tenants/${id}/api-keys/${apiKeyId}`, undefined, { headers })).toEqual(
      first,
    );
  });

  test("another tenant's API key is 404 and stays as it is", async () => {
    const [id, other] = [await tenant(), await tenant()];
    const { id: apiKeyId } = await plane.make('POST', `/tenants/${id}/api-keys`, { name: 'a' });
    for (const method of ['DELETE', 'GET'] as const) {
      expect((await plane.send(method, `/tenants/${other}/api-keys/${apiKeyId}`)).status).toBe(404);
    }
    expect((await plane.make('GET', `/tenants/${id}/api-keys/${apiKeyId}`)).revoked_at).toBeNull();
  });

  test('an id that can be none is 400', async () => {
    const { status, body } = await plane.send('DELETE', `/tenants/${await tenant()}/api-keys/%20`);
    expect(status).toBe(400);
    expect(body.error.param).toBe('api_key_id');
  });
});

test("the list of an unknown tenant's API keys is 404", async () => {
  expect((await plane.send('GET', '/tenants/nobody/api-keys')).status).toBe(404);
});

describe('changing an API key', () => {
  const limits = {
    models: ['sim-small'],
    expires_at: '2999-01-02T03:04:05.000Z',
    rpm_limit: 60,
    tpm_limit: 0,
    max_open_requests: 2,
    allowed_networks: ['203.0.113.0/24', '2001:db8::1'],
  };

  test('what is sent changes, null clears it, and the rest stays as it is', async () => {
    const id = await tenant();
    const path = `/tenants/${id}/api-keys`;
    const { secret, ...made } = await plane.make('POST', path, { name: 'a', ...limits });
    expect(made).toMatchObject(limits);
    const changed = await plane.make('PATCH', `${path}/${made.id}`, { name: 'b', rpm_limit: null });
    expect(changed).toEqual({ ...made, name: 'b', rpm_limit: null });
    const cleared = await plane.make('PATCH', `${path}/${made.id}`, {
      models: null,
      expires_at: null,
      tpm_limit: null,
      max_open_requests: null,
      allowed_networks: null,
    });
    const unlimited = { models: null, tpm_limit: null, max_open_requests: null, allowed_networks: null };
    expect(cleared).toEqual({ ...changed, ...unlimited, expires_at: null });
    expect(await plane.make('GET', `${path}/${made.id}`)).toEqual(cleared);
    const entries = await plane.store.listAudit({ subject: made.id, limit: 10 });
    expect(entries.map((entry) => entry.action)).toEqual([
      'api_key.change',
      'api_key.change',
      'api_key.create',
    ]);
    expect(secret).toMatch(/^tg_/);
  });

  test.each<[string, object, RegExp]>([
    ['nothing', {}, /must have at least one of the members name, models, expires_at/],
    ['a member that there is not', { scopes: [] }, /`scopes` isn't known here/],
    [
      'a network that is none',
      { allowed_networks: ['203.0.113.0/33'] },
      /`allowed_networks\[0\]` must be an address or a network/,
    ],
    ['no network at all', { allowed_networks: [] }, /`allowed_networks` must be a list of networks/],
    ['a limit below zero', { rpm_limit: -1 }, /`rpm_limit` must be a whole number, zero or more/],
    ['half a token', { tpm_limit: 0.5 }, /`tpm_limit` must be a whole number/],
    ['an expiry in the past', { expires_at: '2020-01-01T00:00:00Z' }, /`expires_at` must be in the future/],
  ])('%s is refused by name, and nothing changes', async (_, body, message) => {
    const id = await tenant();
    const path = `/tenants/${id}/api-keys`;
    const { secret: _secret, ...made } = await plane.make('POST', path, { name: 'a', ...limits });
    const answer = await plane.send('PATCH', `${path}/${made.id}`, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toMatch(message);
    expect(await plane.make('GET', `${path}/${made.id}`)).toEqual(made);
  });

  test('one that there is not is 404', async () => {
    const answer = await plane.send('PATCH', `/tenants/${await tenant()}/api-keys/none`, { name: 'b' });
    expect(answer.status).toBe(404);
  });
});
