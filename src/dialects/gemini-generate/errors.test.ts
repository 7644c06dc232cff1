import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiError, GoogleGenAI } from '@google/genai';
import { describe, expect, test } from 'vitest';
import { codes, type ErrorCode, refusal } from '../../domain/errors.ts';
import { statusOf } from '../../http/status.ts';
import { errorBody, errorEvent } from './errors.ts';

const errorOf = (bytes: Buffer) => JSON.parse(bytes.toString()).error;

describe('errors', () => {
  test('every code has a body in the shape of Google, with the status of its answer and the code in it', () => {
    for (const code of Object.keys(codes) as ErrorCode[]) {
      expect(errorOf(errorBody(refusal(code, 'What happened.')))).toEqual({
        code: statusOf[code],
        message: 'What happened.',
        status: expect.stringMatching(/^[A-Z_]+$/),
        details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code, domain: 'tollgate' }],
      });
    }
  });

  test('the member at fault and the time to wait are details as Google sends them', () => {
    const { details } = errorOf(
      errorBody(refusal('RATE_LIMIT_RPM_EXCEEDED', 'Wait.', { param: 'contents', retryAfterSeconds: 7 })),
    );
    expect(details.slice(1)).toEqual([
      {
        '@type': 'type.googleapis.com/google.rpc.BadRequest',
        fieldViolations: [{ field: 'contents', description: 'Wait.' }],
      },
      { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7s' },
    ]);
  });

  async function withServer<T>(
    status: number,
    contentType: string,
    body: string | Buffer,
    use: (client: GoogleGenAI) => Promise<T>,
  ): Promise<T> {
    const server = createServer((_, response) => {
      response.writeHead(status, { 'content-type': contentType });
      response.end(body);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      return await use(new GoogleGenAI({ apiKey: 'secret', httpOptions: { baseUrl } }));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test('the official client raises a refusal as its own error', async () => {
    const body = errorBody(refusal('QUOTA_BALANCE_EXCEEDED', 'Top up.'));
    await withServer(402, 'application/json', body, async ({ models }) => {
      const failed = models.generateContent({ model: 'gemini', contents: 'Hi' });
      await expect(failed).rejects.toBeInstanceOf(ApiError);
      await expect(failed).rejects.toMatchObject({
        status: 402,
        message: expect.stringContaining('QUOTA_BALANCE'),
      });
    });
  });

  test('the official client raises the last event of a stream as its own error', async () => {
    const chunk = 'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}\r\n\r\n';
    const event = errorEvent(refusal('UPSTREAM_UNAVAILABLE', 'It broke off.\n\nNothing more comes.'));
    const body = Buffer.concat([Buffer.from(chunk), event]);
    await withServer(200, 'text/event-stream', body, async ({ models }) => {
      const seen: unknown[] = [];
      const reading = (async () => {
        for await (const { text } of await models.generateContentStream({
          model: 'gemini',
          contents: 'Hi',
        })) {
          seen.push(text);
        }
      })();
      await expect(reading).rejects.toBeInstanceOf(ApiError);
      await expect(reading).rejects.toMatchObject({ status: 502 });
      // Both came in one piece, which the client looks through for errors before it hands anything on.
      expect(seen.length).toBeLessThanOrEqual(1);
    });
  });
});
