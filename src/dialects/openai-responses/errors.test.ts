import OpenAI, { APIError } from 'openai';
import { describe, expect, test } from 'vitest';
import { refusal } from '../../domain/errors.ts';
import { streamError } from './errors.ts';

const cut = refusal('UPSTREAM_UNAVAILABLE', 'It broke off.');

describe('an error in the middle of a stream', () => {
  test('is an event as OpenAI documents it, and as it sends it', () => {
    const [event, data] = streamError(cut, 7).toString().split('\n');
    expect(event).toBe('event: error');
    expect(JSON.parse(data?.slice('data: '.length) ?? '')).toEqual({
      type: 'error',
      code: 'UPSTREAM_UNAVAILABLE',
      message: 'It broke off.',
      param: null,
      sequence_number: 7,
      error: {
        type: 'upstream_error',
        code: 'UPSTREAM_UNAVAILABLE',
        message: 'It broke off.',
        param: null,
      },
    });
  });

  test('makes the official client raise its error, with the code in it', async () => {
    const body = `event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{}}\n\n${streamError(cut, 1)}`;
    const client = new OpenAI({
      apiKey: 'test',
      maxRetries: 0,
      fetch: async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } }),
    });
    const stream = await client.responses.create({ model: 'm', input: 'x', stream: true });
    const seen: string[] = [];
    const read = async () => {
      for await (const event of stream) seen.push(event.type);
    };
    const raised = await read().catch((error: unknown) => error);
    expect(raised).toBeInstanceOf(APIError);
    expect(raised).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', type: 'upstream_error' });
    expect(seen).toEqual(['response.created']);
  });
});
