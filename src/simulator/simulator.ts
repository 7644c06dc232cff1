import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerChat, type ChatOptions } from './chat.ts';
import { bodyTooLarge, methodNotAllowed, serverError, unknownUrl, wrongApiKey } from './errors.ts';
import { jsonType, Outbound } from './outbound.ts';
import { createPromptCounter } from './prompt-tokens.ts';
import { RecordingLog, type RequestLog } from './request-log.ts';

export type { Outcome, ReceivedRequest, RequestLog } from './request-log.ts';

export interface SimulatorOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly host?: string;
  /** The same seed and the same request body give the same answer, to the byte. */
  readonly seed?: string | number;
  /** Is told what went wrong in the simulator itself, never what was asked to go wrong. */
  readonly log?: (line: string) => void;
}

export interface Simulator {
  /** The base URL, as OpenAI's client takes it: it ends in `/v1`. */
  readonly url: string;
  readonly port: number;
  readonly requests: RequestLog;
  /** Takes no more connections, lets open requests go on for so long, and then closes them. */
  close(drainMs?: number): Promise<void>;
}

const bodyLimitBytes = 32 * 1024 * 1024;
const models = ['sim-small', 'sim-large', 'sim-reasoning'];
/** The key that is refused; any other, and none, is accepted. */
const badApiKey = 'bad-key';

/**
 * Starts a provider that answers OpenAI's chat completions without a model.
 * @throws when the port cannot be had
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { port = 0, host = '127.0.0.1', seed = 1, log: report = () => {} } = options;
  const log = new RecordingLog();
  const chat = { seed: String(seed), prompts: createPromptCounter() };
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    receive(request, response, log, chat).catch((error: unknown) => {
      report(`The simulator failed to answer: ${error instanceof Error ? error.stack : String(error)}`);
      if (!response.writableEnded) response.destroy();
    });
  });
  // Longer than a client's pool keeps a connection, so that none is closed under a request that has just left.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const urlHost = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${urlHost}:${address.port}/v1`,
    port: address.port,
    requests: log,
    async close(drainMs = 0) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const patience = new AbortController();
      await Promise.race([
        log.settled(),
        sleep(drainMs, undefined, { signal: patience.signal }).catch(() => {}),
      ]);
      patience.abort();
      server.closeAllConnections();
      await closed;
      // A response learns of its connection's end a moment later than the server.
      await log.settled();
    },
  };
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  log: RecordingLog,
  chat: ChatOptions,
): Promise<void> {
  const body = await readBody(request);
  if (body === 'client_gone' || response.closed) return;
  const { method = 'GET', url = '/', headers } = request;
  const path = url.split('?', 1)[0] ?? '/';
  const text = body === 'too_large' ? '' : body.toString('utf8');
  const outbound = new Outbound(response, log.add({ method, path, headers, body: text }), log);
  if (headers.authorization === `Bearer ${badApiKey}`) return outbound.refuse(wrongApiKey(badApiKey));
  if (body === 'too_large') return outbound.refuse(bodyTooLarge(bodyLimitBytes));
  try {
    await route(method, path, body, outbound, chat);
  } catch (error) {
    if (!response.headersSent) outbound.refuse(serverError());
    throw error;
  }
}

async function route(
  method: string,
  path: string,
  body: Buffer,
  outbound: Outbound,
  chat: ChatOptions,
): Promise<void> {
  const expected = { '/v1/chat/completions': 'POST', '/v1/models': 'GET' }[path];
  if (expected === undefined) return outbound.refuse(unknownUrl(method, path));
  if (method !== expected) return outbound.refuse(methodNotAllowed(method, path));
  if (path === '/v1/models') return outbound.respond(200, jsonType, modelList);
  await answerChat(body, outbound, chat);
}

const modelList = JSON.stringify({
  object: 'list',
  data: models.map((id) => ({ id, object: 'model', created: 1_767_225_600, owned_by: 'simulator' })),
});

function readBody(request: IncomingMessage): Promise<Buffer | 'too_large' | 'client_gone'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= bodyLimitBytes) chunks.push(chunk);
    });
    request.once('end', () => resolve(length > bodyLimitBytes ? 'too_large' : Buffer.concat(chunks)));
    request.once('error', () => resolve('client_gone'));
    request.once('close', () => resolve('client_gone'));
  });
}
