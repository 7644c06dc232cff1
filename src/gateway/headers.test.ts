import { expect, it } from 'vitest';
import { headersForClient, headersForUpstream } from './headers.ts';

it("keeps the client's credentials, whereabouts and connection from upstream, and puts upstream's own in", () => {
  const headers = headersForUpstream(
    {
      authorization: 'Bearer tg_secret',
      'x-api-key': 'tg_secret',
      'x-goog-api-key': 'tg_secret',
      'api-key': 'tg_secret',
      cookie: 'session=1',
      host: 'gateway',
      connection: 'keep-alive, X-Hop',
      'x-hop': 'dropped',
      'transfer-encoding': 'chunked',
      'content-length': '7',
      'accept-encoding': 'gzip, br',
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-proto': 'https',
      'idempotency-key': 'mine',
      'x-goog-user-project': 'theirs',
      'x-goog-fieldmask': 'candidates',
      'x-vertex-ai-llm-shared-request-type': 'priority',
      'user-agent': 'OpenAI/JS 7',
      'openai-beta': 'kept',
      accept: ['text/event-stream', 'application/json'],
      absent: undefined,
    },
    { authorization: 'Bearer sk-upstream' },
  );
  expect(headers).toEqual({
    authorization: 'Bearer sk-upstream',
    'content-type': 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'OpenAI/JS 7',
    'openai-beta': 'kept',
    accept: 'application/json, text/event-stream',
  });
});

it("keeps our account at the provider and the connection from the client, and passes the provider's other words", () => {
  const headers = headersForClient({
    'content-type': 'text/event-stream',
    'content-length': '7',
    'content-encoding': 'gzip',
    'transfer-encoding': 'chunked',
    connection: 'close',
    'set-cookie': ['a=1'],
    'openai-organization': 'org-ours',
    'x-ratelimit-remaining-tokens': '5',
    'anthropic-ratelimit-tokens-remaining': '5',
    'anthropic-organization-id': 'ours',
    'x-billing-balance': '1000000',
    'x-request-id': 'theirs',
    'retry-after': '7',
    'openai-processing-ms': '12',
  });
  expect(headers).toEqual({
    'content-type': 'text/event-stream',
    'retry-after': '7',
    'openai-processing-ms': '12',
  });
});

it('asks for no format that could not be metered, for no part, and by no other method', () => {
  const hostile = {
    accept: 'application/x-protobuf, application/json;q=0.1',
    range: 'bytes=1-',
    'if-none-match': '*',
    'x-http-method-override': 'GET',
  };
  expect(headersForUpstream(hostile, {})).toEqual({
    accept: 'application/json, text/event-stream',
    'accept-encoding': 'identity',
    'content-type': 'application/json',
  });
});
