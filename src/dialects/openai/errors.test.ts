import { APIError } from 'openai';
import { Stream } from 'openai/streaming';
import { describe, expect, test } from 'vitest';
import { codes, type ErrorCode, refusal } from '../../domain/errors.ts';
import { errorBody, errorEvent } from './errors.ts';

describe('errors', () => {
  test('every code has a body in the shape of OpenAI, with the code in it', () => {
    for (const code of Object.keys(codes) as ErrorCode[]) {
      const { error } = JSON.parse(errorBody(refusal(code, 'What happened.', { param: 'n' })).toString());
      expect(error).toEqual({
        message: 'What happened.',
        type: expect.stringMatching(/^[a-z_]+$/),
        param: 'n',
        code,
      });
    }
  });

  test('who is to blame decides the type', () => {
    const typeOf = (code: ErrorCode) => JSON.parse(errorBody(refusal(code, '')).toString()).error.type;
    expect(typeOf('API_KEY_INVALID')).toBe('authentication_error');
    expect(typeOf('QUOTA_BALANCE_EXCEEDED')).toBe('insufficient_quota');
    expect(typeOf('RATE_LIMIT_RPM_EXCEEDED')).toBe('rate_limit_exceeded');
    expect(typeOf('REQUEST_INVALID')).toBe('invalid_request_error');
    expect(typeOf('UPSTREAM_TIMEOUT')).toBe('upstream_error');
    expect(typeOf('INTERNAL')).toBe('server_error');
  });

  test('a member that is not named is null', () => {
    expect(JSON.parse(errorBody(refusal('INTERNAL', 'x')).toString()).error.param).toBeNull();
  });

  test('as the last event of a stream it is the same body, in one line of data', () => {
    const refused = refusal('UPSTREAM_TIMEOUT', 'Too slow.\n\nSorry.');
    expect(errorEvent(refused).toString()).toBe(`data: ${errorBody(refused)}\n\n`);
    expect(errorBody(refused).toString()).not.toContain('\n');
  });

  test('the official client raises the last event of a stream as its own error', async () => {
    const chunk = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n';
    const event = errorEvent(
      refusal('UPSTREAM_UNAVAILABLE', 'The provider broke off.\n\nNothing more comes.'),
    );
    const response = new Response(Buffer.concat([Buffer.from(chunk), event]));
    const stream = Stream.fromSSEResponse(response, new AbortController());
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const item of stream) seen.push(item);
    })();
    await expect(reading).rejects.toBeInstanceOf(APIError);
    await expect(reading).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', type: 'upstream_error' });
    expect(seen).toHaveLength(1);
  });
});
