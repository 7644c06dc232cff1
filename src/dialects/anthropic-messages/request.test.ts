import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { DialectRequest, UpstreamChanges } from '../dialect.ts';
import { readCountRequest, readRequest, startsThread } from './request.ts';

const plain = { model: 'claude', max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] };
const callOf = (body: unknown, query = '') => ({
  path: '/v1/messages',
  query: new URLSearchParams(query),
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});
const read = (body: unknown, query?: string) => readRequest(callOf(body, query));
function requestOf(body: unknown, query?: string): DialectRequest {
  const request = read(body, query);
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}
const unchanged: UpstreamChanges = { model: 'claude', quirks: quirksOf('anthropic'), maxOutputTokens: null };

describe('a request', () => {
  test('says what admission has to know', () => {
    const request = requestOf({ ...plain, stream: true, service_tier: 'standard_only' });
    expect(request).toMatchObject({
      model: 'claude',
      stream: true,
      isFree: false,
      maxOutputTokens: 100,
      choices: 1,
      units: {},
      serviceTier: 'standard_only',
      continues: null,
      unknownMember: null,
    });
    expect(request.estimatedInputTokens).toBeGreaterThan(0);
  });

  test.each([
    ['no model', { ...plain, model: undefined }, 'model'],
    ['no messages', { ...plain, messages: undefined }, 'messages'],
    ['an empty list of them', { ...plain, messages: [] }, 'messages'],
    ['one that is a text', { ...plain, messages: [{}, 'Hi'] }, 'messages[1]'],
    ['no maximum', { ...plain, max_tokens: undefined }, 'max_tokens'],
    ['null as the maximum', { ...plain, max_tokens: null }, 'max_tokens'],
    ['a negative maximum', { ...plain, max_tokens: -1 }, 'max_tokens'],
    ['a text as the maximum', { ...plain, max_tokens: '100' }, 'max_tokens'],
    ['a stream of "yes"', { ...plain, stream: 'yes' }, 'stream'],
    ['a tier by number', { ...plain, service_tier: 1 }, 'service_tier'],
    ['a place by number', { ...plain, inference_geo: 1 }, 'inference_geo'],
    ['tools that are no list', { ...plain, tools: {} }, 'tools'],
    ['a model twice', '{"model":"a","model":"b"}', 'model'],
    ['a maximum that looks like another', '{"Max_Tokens":1,"max_tokens":2}', 'max_tokens'],
    ['no JSON', '{', undefined],
  ])('with %s is refused, and the member is named', (_, body, param) => {
    expect(read(body)).toMatchObject({ kind: 'refused', code: 'REQUEST_INVALID', ...(param && { param }) });
  });

  test('members that nobody here knows pass, and those of clouds', () => {
    const request = requestOf({ ...plain, anthropic_version: 'bedrock-2023-05-31', of_next_year: true });
    expect(request.unknownMember).toBeNull();
  });

  test('that only fills the cache generates nothing', () => {
    expect(requestOf({ ...plain, max_tokens: 0 }).maxOutputTokens).toBe(0);
  });

  test('in fast mode has the price of fast mode', () => {
    expect(requestOf({ ...plain, speed: 'fast', service_tier: 'auto' }).serviceTier).toBe('fast');
  });

  test.each([
    [{ inference_geo: 'us' }, 'us'],
    [{ inference_geo: 'us', service_tier: 'auto' }, 'us'],
    [{ inference_geo: 'US', service_tier: 'priority' }, 'priority_us'],
    [{ inference_geo: 'us', speed: 'fast' }, 'fast_us'],
    [{ inference_geo: 'eu' }, 'eu'],
    [{ inference_geo: 'global', service_tier: 'auto' }, 'auto'],
    [{ inference_geo: null }, null],
  ])('with %j has the price of its place', (members, tier) => {
    expect(requestOf({ ...plain, ...members }).serviceTier).toBe(tier);
  });

  test('that goes on from a stored conversation names it', () => {
    const thread = { type: 'continue', previous_message_id: 'msg_1' };
    expect(requestOf({ ...plain, thread }).continues).toBe('msg_1');
    expect(startsThread(requestOf({ ...plain, thread: { type: 'create' } }))).toBe(true);
    expect(startsThread(requestOf(plain))).toBe(false);
  });

  test.each([
    ['its own limit', { max_uses: 2 }, 2],
    ['none', {}, 5],
    ['a limit that is null', { max_uses: null }, 5],
    ['a limit beyond reason', { max_uses: 1_000_000 }, 50],
    ['a limit of no kind', { max_uses: -1 }, 5],
  ])('with a search tool of %s may search so often', (_, limit, expected) => {
    const tools = [
      { type: 'web_search_20250305', name: 'web_search', ...limit },
      { name: 'web_search_of_mine', input_schema: {} },
      { type: 'web_fetch_20250910' },
      null,
    ];
    expect(requestOf({ ...plain, tools }).units).toEqual({ web_search: expected });
  });
});

describe('upstream', () => {
  test('gets the very bytes that the client sent, at the path below its base URL', () => {
    const body =
      '{ "max_tokens":100,\n "model": "claude", "messages":[{"role":"user","content":"\\u0048i"}] }';
    const call = requestOf(body).callFor(unchanged);
    expect(call).toEqual({ path: '/v1/messages', body: Buffer.from(body) });
  });

  test('gets its own name of the model, and a lower maximum where one is set', () => {
    const { body } = requestOf({ ...plain, x: 1 }).callFor({
      ...unchanged,
      model: 'up',
      maxOutputTokens: 50,
    });
    expect(JSON.parse(body.toString())).toEqual({ ...plain, x: 1, model: 'up', max_tokens: 50 });
    const higher = requestOf(plain).callFor({ ...unchanged, maxOutputTokens: 500 });
    expect(JSON.parse(higher.body.toString())).toEqual(plain);
  });

  test("gets the client's query, but none of its secrets", () => {
    expect(requestOf(plain, 'beta=true').callFor(unchanged).path).toBe('/v1/messages?beta=true');
    expect(requestOf(plain, 'key=tg-secret&beta=true').callFor(unchanged).path).toBe(
      '/v1/messages?beta=true',
    );
    expect(requestOf(plain, 'api_key=tg-secret').callFor(unchanged).path).toBe('/v1/messages');
  });
});

describe('a request to count', () => {
  test('is free, needs no maximum and generates nothing', () => {
    const { max_tokens: _, ...countable } = plain;
    const tools = [{ type: 'web_search_20250305', name: 'web_search' }];
    const request = readCountRequest(callOf({ ...countable, tools }, 'beta=true'));
    expect(request).toMatchObject({ isFree: true, maxOutputTokens: 0, stream: false, units: {} });
    if (request.kind === 'refused') throw new Error(request.message);
    expect(request.callFor(unchanged).path).toBe('/v1/messages/count_tokens?beta=true');
  });

  test('is refused like any other', () => {
    expect(readCountRequest(callOf({ model: 'claude' }))).toMatchObject({
      kind: 'refused',
      param: 'messages',
    });
  });
});
