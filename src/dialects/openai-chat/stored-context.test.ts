import { describe, expect, test } from 'vitest';
import { readRequest } from './request.ts';
import { continuedId } from './stored-context.ts';

describe('the stored context of a chat', () => {
  test.each([
    ["xAI's earlier answer", { previous_response_id: 'resp_1' }, 'resp_1'],
    ['cached content', { cached_content: 'cachedContents/1' }, 'cachedContents/1'],
    ['it below google', { google: { cached_content: 'cachedContents/1' } }, 'cachedContents/1'],
    [
      'it below extra_body',
      { extra_body: { google: { cached_content: 'cachedContents/1' } } },
      'cachedContents/1',
    ],
    [
      "Vercel's spelling",
      { providerOptions: { google: { cachedContent: 'cachedContents/1' } } },
      'cachedContents/1',
    ],
    ['an earlier answer there', { providerOptions: { openai: { previousResponseId: 'resp_1' } } }, 'resp_1'],
    ['nothing', { previous_response_id: null, cached_content: '', google: [], extra_body: 7 }, null],
  ])('%s is what it goes on from', (_, members, continues) => {
    expect(continuedId(members)).toBe(continues);
  });

  test('a short context that is known does not stand in for another', () => {
    const two = { previous_response_id: 'resp_1', cached_content: 'cachedContents/1' };
    expect(['resp_1', 'cachedContents/1', null]).not.toContain(continuedId(two));
  });

  test('is what the request says', () => {
    const body = { model: 'm', messages: [{}], previous_response_id: 'resp_1' };
    const call = { path: '/v1/chat/completions', query: new URLSearchParams() };
    const request = readRequest({ ...call, body: Buffer.from(JSON.stringify(body)) });
    expect(request).toMatchObject({ continues: 'resp_1' });
  });
});
