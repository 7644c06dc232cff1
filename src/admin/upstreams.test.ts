import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';

let plane: TestPlane;
let counter = 0;

beforeAll(async () => {
  plane = await openTestPlane();
});

afterAll(() => plane.close());

const unique = () => `upstream-${counter++}`;

function valid(changes: Record<string, unknown> = {}) {
  return {
    id: unique(),
    dialects: ['openai.chat', 'openai.embeddings'],
    base_url: 'https://api.openai.com/v1/',
    credential: 'sk-very-secret',
    ...changes,
  };
}

describe('creating an upstream', () => {
  test('it answers 201 without the credential, and the data plane gets it with', async () => {
    const sent = valid({ provider: 'openai' });
    const { status, body } = await plane.send('POST', '/upstreams', sent);
    expect(status).toBe(201);
    expect(body).toEqual({
      id: sent.id,
      provider: 'openai',
      dialects: ['openai.chat', 'openai.embeddings'],
      base_url: 'https://api.openai.com/v1',
      has_credential: true,
      headers_timeout_ms: 600_000,
      idle_timeout_ms: 300_000,
      quirks: expect.objectContaining({ max_tokens_member: 'max_completion_tokens' }),
      created_at: expect.any(String),
    });
    expect(await plane.make('GET', `/upstreams/${sent.id}`)).toEqual(body);
    expect((await plane.make('GET', '/upstreams')).data).toContainEqual(body);
    const stored = (await plane.store.listUpstreams()).find((one) => one.id === sent.id);
    expect(stored?.credential).toBe('sk-very-secret');
  });

  test('without a provider it is known by its id', async () => {
    const sent = valid();
    expect((await plane.make('POST', '/upstreams', sent)).provider).toBe(sent.id);
  });

  test('the same id again replaces all of it but for a credential that is not sent', async () => {
    const sent = valid({ headers_timeout_ms: 1, idle_timeout_ms: 2 });
    await plane.make('POST', '/upstreams', sent);
    const replaced = await plane.make('POST', '/upstreams', {
      id: sent.id,
      dialects: ['anthropic.messages'],
      base_url: 'http://127.0.0.1:8080',
    });
    expect(replaced).toMatchObject({
      dialects: ['anthropic.messages'],
      base_url: 'http://127.0.0.1:8080',
      has_credential: true,
      headers_timeout_ms: 600_000,
      idle_timeout_ms: 300_000,
    });
    expect(await plane.auditOf(sent.id)).toEqual(['upstream.put', 'upstream.put']);
    const removed = await plane.make('POST', '/upstreams', { ...sent, credential: null });
    expect(removed).toMatchObject({ has_credential: false });
  });

  test('the data plane sees the replacement at once', async () => {
    const sent = valid();
    await plane.make('POST', '/upstreams', sent);
    const name = `model-of-${sent.id}`;
    await plane.make('PUT', `/models/${name}`, {
      routes: [{ upstream: sent.id, upstream_model: 'm' }],
      rates: { per_request: '1' },
    });
    const seen = async () => (await plane.catalog.findModel(name))?.targets[0]?.upstream.baseUrl;
    expect(await seen()).toBe('https://api.openai.com/v1');
    await plane.make('POST', '/upstreams', { ...sent, base_url: 'https://eu.api.openai.com/v1' });
    expect(await seen()).toBe('https://eu.api.openai.com/v1');
  });

  test('quirks start from what is known of the provider, and each can be set by name', async () => {
    const sent = valid({ provider: 'xai' });
    const known = await plane.make('POST', '/upstreams', sent);
    expect(known.quirks).toMatchObject({ reasoning_is_outside: true, unknown_members: 'refuse' });
    const set = await plane.make('POST', '/upstreams', { ...sent, quirks: { unknown_members: 'pass' } });
    expect(set.quirks).toEqual({ ...known.quirks, unknown_members: 'pass' });
    // What isn't sent stays; an empty object returns to what is known.
    expect((await plane.make('POST', '/upstreams', sent)).quirks).toEqual(set.quirks);
    expect((await plane.make('POST', '/upstreams', { ...sent, quirks: {} })).quirks).toEqual(known.quirks);
    const { status, body } = await plane.send('POST', '/upstreams', { ...sent, quirks: { mood: 'odd' } });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param: 'quirks.mood', message: expect.stringMatching(/isn't known/) });
  });

  test('no answer and no audit entry shows a credential', async () => {
    const sent = valid();
    const answers = [
      await plane.send('POST', '/upstreams', sent),
      await plane.send('POST', '/upstreams', { ...sent, credential: 'sk-very-secret with spaces' }),
      await plane.send('GET', '/upstreams'),
      await plane.send('GET', `/audit?subject=${sent.id}`),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([201, 400, 200, 200]);
    expect(JSON.stringify(answers)).not.toContain('sk-very-secret');
  });

  test.each([
    ['no id', { id: undefined }, 'id', /is required/],
    ['no dialect', { dialects: [] }, 'dialects', /list of dialects/],
    ['an unknown dialect', { dialects: ['openai.chat', 'cohere'] }, 'dialects[1]', /one of openai.chat/],
    ['a dialect twice', { dialects: ['openai.chat', 'openai.chat'] }, 'dialects', /without repetition/],
    ['no URL', { base_url: undefined }, 'base_url', /is required/],
    ['a URL that is none', { base_url: 'api.openai.com' }, 'base_url', /http or https URL/],
    ['another protocol', { base_url: 'file:///etc/passwd' }, 'base_url', /http or https URL/],
    ['a URL with a user', { base_url: 'https://user:pass@api.test' }, 'base_url', /without user/],
    ['a URL with a query', { base_url: 'https://api.test/v1?version=1' }, 'base_url', /query/],
    ['a URL with an empty query', { base_url: 'https://api.test/v1?' }, 'base_url', /query/],
    ['a URL with a fragment', { base_url: 'https://api.test/v1#x' }, 'base_url', /fragment/],
    ['an empty credential', { credential: '' }, 'credential', /printable ASCII/],
    ['a credential with a line break', { credential: 'a\nb' }, 'credential', /printable ASCII/],
    ['no time for headers', { headers_timeout_ms: 0 }, 'headers_timeout_ms', /whole number from 1/],
    ['endless idling', { idle_timeout_ms: 86_400_001 }, 'idle_timeout_ms', /86400000/],
    ['an unknown member', { api_key: 'x' }, 'api_key', /isn't known/],
  ])('%s is 400 and creates nothing', async (_, changes, param, words) => {
    const before = await plane.store.listUpstreams();
    const { status, body } = await plane.send('POST', '/upstreams', valid(changes));
    expect(body.error).toMatchObject({
      code: 'REQUEST_INVALID',
      param,
      message: expect.stringMatching(words),
    });
    expect(status).toBe(400);
    expect(await plane.store.listUpstreams()).toEqual(before);
  });
});

test('an unknown upstream is 404', async () => {
  expect((await plane.send('GET', '/upstreams/ghost')).status).toBe(404);
});

test('a list with a query is 400', async () => {
  const { status, body } = await plane.send('GET', '/upstreams?limit=1');
  expect(status).toBe(400);
  expect(body.error).toMatchObject({ param: 'limit', message: "`limit` isn't taken here." });
});
