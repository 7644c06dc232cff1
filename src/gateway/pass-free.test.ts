import { describe, expect, it } from 'vitest';
import { answering, RecordedClient } from '../../test/support/pipeline.ts';
import { quietObserver } from '../../test/support/quiet-observer.ts';
import type { Target } from '../catalog/catalog.ts';
import { anthropicCountTokens } from '../dialects/anthropic-messages/index.ts';
import { ByteBudget } from '../domain/byte-budget.ts';
import { systemClock } from '../domain/clock.ts';
import { quirksOf } from '../domain/quirks.ts';
import { passFree } from './pass-free.ts';
import { Progress } from './progress.ts';

const target = {
  route: { upstreamModel: 'claude' },
  upstream: { baseUrl: 'http://upstream', credential: null, quirks: quirksOf('anthropic') },
} as Target;

/** What a client that asks for nothing but a count gets where upstream answers with this. */
async function countWith(status: number, headers: Record<string, string>, body: string) {
  const messages = [{ role: 'user', content: 'Hi' }];
  const request = anthropicCountTokens.readRequest({
    path: '/v1/messages/count_tokens',
    query: new URLSearchParams(),
    body: Buffer.from(JSON.stringify({ model: 'claude', messages })),
  });
  if (request.kind === 'refused') throw new Error(request.message);
  const client = new RecordedClient();
  const progress = new Progress(systemClock, 0);
  const refused = await passFree(
    { dialect: anthropicCountTokens, headers: {}, request, targets: [target], client, progress },
    {
      upstreams: answering(status, headers, body),
      readCredential: (stored) => stored,
      observer: quietObserver,
      clock: systemClock,
      maxAnswerBytes: 50,
      answers: new ByteBudget(1_000),
    },
  );
  return { refused, client, progress };
}

describe('an answer that costs nothing', () => {
  it.each([
    ['a count', 200, '{"input_tokens": 9}'],
    ["the provider's own refusal", 400, '{"error": {}}'],
    ["the provider's own failure", 529, '{"error": {}}'],
  ])('goes on as it came where it is %s', async (_, status, body) => {
    const headers = { 'content-type': 'application/json', 'content-length': '999', 'set-cookie': 'secret' };
    const { refused, client, progress } = await countWith(status, headers, body);
    expect(refused).toBeNull();
    expect(client.head).toEqual({
      kind: 'upstream',
      status,
      headers: { 'content-type': 'application/json', 'content-length': String(body.length) },
    });
    expect([client.text, client.end_, progress.answering]).toEqual([body, 'ended', true]);
  });

  it.each([
    ['a redirect', 307, '{}'],
    ['a page that is no JSON', 200, '<html>Sign in</html>'],
    ['a refusal that is no JSON', 429, 'slow down'],
    ['more than is passed on', 200, `"${'9'.repeat(50)}"`],
  ])('is withheld where it is %s', async (_, status, body) => {
    const { refused, client, progress } = await countWith(status, { location: 'http://elsewhere/' }, body);
    expect(refused).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect([client.head, progress.answering]).toEqual([null, false]);
  });
});
