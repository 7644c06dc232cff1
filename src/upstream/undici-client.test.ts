import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createUndiciClient } from './undici-client.ts';
import type { UpstreamClient, UpstreamResponse } from './upstream.ts';

let client: UpstreamClient;
const servers: Server[] = [];

beforeEach(() => {
  client = createUndiciClient({ connectTimeoutMs: 500 });
});

afterEach(async () => {
  await client.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/x?y=1`;
}

function call(
  url: string,
  changes: { signal?: AbortSignal; headersTimeoutMs?: number; idleTimeoutMs?: number } = {},
) {
  const { signal = new AbortController().signal, headersTimeoutMs = 5_000, idleTimeoutMs = 5_000 } = changes;
  const headers = { 'content-type': 'application/json', 'x-kept': 'yes' };
  return client.send({ url, headers, body: Buffer.from('{"a":1}'), headersTimeoutMs, idleTimeoutMs, signal });
}

async function answered(url: string, changes?: Parameters<typeof call>[1]): Promise<UpstreamResponse> {
  const answer = await call(url, changes);
  if (answer.kind !== 'response') throw new Error(`unreachable: ${answer.reason}`);
  return answer;
}

async function text(response: UpstreamResponse): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('the way to a provider', () => {
  it('carries method, path, headers and body, and brings back status, headers and body', async () => {
    const url = await serve(async (request: IncomingMessage, response: ServerResponse) => {
      const body = (await request.toArray()).join('');
      response.writeHead(201, { 'x-answer': ['1', '2'] });
      response.end(`${request.method} ${request.url} ${request.headers['x-kept']} ${body}`);
    });
    const response = await answered(url);
    expect(response.status).toBe(201);
    expect(response.headers['x-answer']).toEqual(['1', '2']);
    expect(await text(response)).toBe('POST /v1/x?y=1 yes {"a":1}');
  });

  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('reads a body that came as %s although it was not asked for', async (encoding, compress) => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': encoding });
      response.end(compress('plain text'));
    });
    expect(await text(await answered(url))).toBe('plain text');
  });

  it('says that nothing was sent where nobody listens', async () => {
    const url = await serve(() => undefined);
    for (const server of servers.splice(0)) server.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await call(url)).toMatchObject({ kind: 'unreachable', reason: 'connection', sent: false });
  });

  it('says that it was sent where the connection broke without an answer', async () => {
    const url = await serve((request) => request.socket.destroy());
    expect(await call(url)).toMatchObject({ kind: 'unreachable', reason: 'connection', sent: true });
  });

  it('gives up on headers that do not come in time', async () => {
    const url = await serve(() => undefined);
    expect(await call(url, { headersTimeoutMs: 100 })).toMatchObject({
      kind: 'unreachable',
      reason: 'timeout',
      sent: true,
    });
  });

  it('answers at once when it is cancelled before there is an answer', async () => {
    const arrived = Promise.withResolvers<void>();
    const url = await serve(() => arrived.resolve());
    const controller = new AbortController();
    const answer = call(url, { signal: controller.signal });
    await arrived.promise;
    controller.abort();
    expect(await answer).toMatchObject({ kind: 'unreachable', reason: 'aborted', sent: true });
  });

  it('does not send what was cancelled before', async () => {
    let requests = 0;
    const url = await serve(() => {
      requests++;
    });
    expect(await call(url, { signal: AbortSignal.abort() })).toMatchObject({
      reason: 'aborted',
      sent: false,
    });
    expect(requests).toBe(0);
  });

  it.each([
    ['cut', { idleTimeoutMs: 5_000 }],
    ['timeout', { idleTimeoutMs: 150 }],
  ])('delivers all that came before it is %s', async (reason, changes) => {
    const url = await serve((request, response) => {
      response.write('all of ');
      response.write('this', () => {
        if (reason === 'cut') request.socket.destroy();
      });
    });
    const { body } = await answered(url, changes);
    let delivered = '';
    const reading = async () => {
      for await (const chunk of body) delivered += chunk.toString();
    };
    await expect(reading()).rejects.toMatchObject({ name: 'UpstreamBodyError', reason });
    expect(delivered).toBe('all of this');
  });

  it('lets go of the connection when reading stops', async () => {
    const closed = Promise.withResolvers<void>();
    const url = await serve((_, response) => {
      response.on('close', () => closed.resolve());
      response.write('the first of many');
    });
    const { body } = await answered(url);
    for await (const _ of body) break;
    await closed.promise;
  });

  it('does not read on while nobody reads, so that memory is bounded', async () => {
    const chunk = Buffer.alloc(64 * 1024);
    let written = 0;
    const stalled = Promise.withResolvers<void>();
    const url = await serve((_, response) => {
      const write = () => {
        while (response.write(chunk)) written += chunk.length;
        written += chunk.length;
        const timer = setTimeout(() => stalled.resolve(), 500);
        response.once('drain', () => {
          clearTimeout(timer);
          write();
        });
      };
      write();
    });
    const { body } = await answered(url);
    await stalled.promise;
    expect(written).toBeLessThan(32 * 1024 * 1024);
    await body[Symbol.asyncIterator]().return?.();
  });

  it('ignores 1xx and waits for the answer', async () => {
    const url = await serve((_, response) => {
      response.writeEarlyHints({ link: '</x>; rel=preload' });
      response.end('the answer');
    });
    expect(await text(await answered(url))).toBe('the answer');
  });

  it('reports an answer that is no HTTP as a broken connection', async () => {
    const server = createTcpServer((socket) => socket.end('nonsense\r\n\r\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect(await call(url)).toMatchObject({ kind: 'unreachable', reason: 'connection' });
    server.close();
  });
});
