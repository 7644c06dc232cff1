import Anthropic, {
  APIError,
  AuthenticationError,
  BadRequestError,
  ConflictError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from '@anthropic-ai/sdk';
import { describe, expect, test } from 'vitest';
import { codes, type ErrorCode, refusal } from '../../domain/errors.ts';

import { errorBody, errorEvent, errorMessage } from './errors.ts';

const message = { model: 'claude', max_tokens: 5, messages: [{ role: 'user' as const, content: 'Hi' }] };

function clientOf(answer: () => Response): Anthropic {
  return new Anthropic({ apiKey: 'x', maxRetries: 0, fetch: async () => answer() });
}

describe('errors', () => {
  test('every code has a body in the shape of Anthropic, with the code in it', () => {
    for (const code of Object.keys(codes) as ErrorCode[]) {
      expect(JSON.parse(errorBody(refusal(code, 'What happened.', { param: 'n' })).toString())).toEqual({
        type: 'error',
        error: {
          type: expect.stringMatching(/^[a-z_]+$/),
          message: 'What happened.',
          code,
          details: { error_code: code, param: 'n' },
        },
      });
    }
  });

  test.each([
    ['API_KEY_INVALID', 401, AuthenticationError, 'authentication_error'],
    ['API_KEY_FORBIDDEN', 403, PermissionDeniedError, 'permission_error'],
    ['QUOTA_BALANCE_EXCEEDED', 402, APIError, 'billing_error'],
    ['RATE_LIMIT_RPM_EXCEEDED', 429, RateLimitError, 'rate_limit_error'],
    ['REQUEST_INVALID', 400, BadRequestError, 'invalid_request_error'],
    ['REQUEST_TOO_LARGE', 413, APIError, 'request_too_large'],
    ['REQUEST_IN_PROGRESS', 409, ConflictError, 'conflict_error'],
    ['MODEL_NOT_FOUND', 404, NotFoundError, 'not_found_error'],
    ['UPSTREAM_TIMEOUT', 504, InternalServerError, 'timeout_error'],
    ['OVERLOADED', 503, InternalServerError, 'overloaded_error'],
    ['INTERNAL', 500, InternalServerError, 'api_error'],
  ] as const)('the official client raises %s as its own error', async (code, status, expected, type) => {
    const body = errorBody(refusal(code, 'What happened.'));
    const headers = { 'content-type': 'application/json' };
    const client = clientOf(() => new Response(body, { status, headers }));
    const raised = await client.messages.create(message).catch((error: unknown) => error);
    expect(raised).toBeInstanceOf(expected);
    expect(raised).toMatchObject({ status, type, errorCode: code });
  });

  test('the official client raises the last event of a stream as its own error', async () => {
    const start = `event: message_start\ndata: ${JSON.stringify({ type: 'message_start', message: { content: [] } })}\n\n`;
    const event = errorEvent(refusal('UPSTREAM_UNAVAILABLE', 'Broken off.\n\nNothing more comes.'));
    const headers = { 'content-type': 'text/event-stream' };
    const client = clientOf(() => new Response(Buffer.concat([Buffer.from(start), event]), { headers }));
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { type } of await client.messages.create({ ...message, stream: true }))
        seen.push(type);
    })();
    await expect(reading).rejects.toBeInstanceOf(APIError);
    await expect(reading).rejects.toMatchObject({ type: 'api_error', errorCode: 'UPSTREAM_UNAVAILABLE' });
    expect(seen).toEqual(['message_start']);
  });

  test.each([
    [{ type: 'overloaded_error', message: 'Overloaded' }, 'overloaded_error: Overloaded'],
    [{ message: 'Oops' }, 'Oops'],
    ['plain text', 'plain text'],
    [{}, 'unnamed error'],
    [null, 'unnamed error'],
    [{ type: 7, message: ['x'] }, 'unnamed error'],
  ])("a provider's %j is kept as %j", (error, expected) => {
    expect(errorMessage(error)).toBe(expected);
  });

  test('of a long message only the start is kept', () => {
    expect(errorMessage({ message: 'x'.repeat(10_000) })).toHaveLength(500);
  });
});
