import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiError } from './errors.ts';
import type { Call } from './format.ts';
import { jsonType, Outbound } from './outbound.ts';
import { createPromptCounter } from './prompt-tokens.ts';
import { RecordingLog, type RequestLog } from './request-log.ts';
import { createRouter, type Router } from './routes.ts';
import { type ServeOptions, serve } from './serve.ts';

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
  /** The base URL as OpenAI's client takes it: it ends in `/v1`. */
  readonly url: string;
  /** The base URL as Anthropic's and Google's clients take it. Below it OpenAI's paths are found too, with `/v1` or without. */
  readonly origin: string;
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
 * Starts a provider that answers in every wire format without a model.
 * @throws when the port cannot be had
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { port = 0, host = '127.0.0.1', seed = 1, log: report = () => {} } = options;
  const log = new RecordingLog();
  const desk: Desk = { seed: String(seed), prompts: createPromptCounter(), router: createRouter(), log };
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    receive(request, response, desk).catch((error: unknown) => {
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
  const origin = `http://${urlHost}:${address.port}`;
  return {
    url: `${origin}/v1`,
    origin,
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

/** What every request is answered with. */
interface Desk extends ServeOptions {
  readonly router: Router;
  readonly log: RecordingLog;
}

async function receive(request: IncomingMessage, response: ServerResponse, desk: Desk): Promise<void> {
  const body = await readBody(request);
  if (body === 'client_gone' || response.closed) return;
  const { method = 'GET', url = '/', headers } = request;
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  const query = mark === -1 ? '' : url.slice(mark);
  const text = body === 'too_large' ? '' : body.toString('utf8');
  const { log } = desk;
  const outbound = new Outbound(response, log.add({ method, path, query, headers, body: text }), log);
  const { target, wording } = desk.router(path);
  const refuse = (error: ApiError) => outbound.refuse(error, wording, plainRequestId);
  const call = { path, query: new URLSearchParams(query), headers };
  if (isBad(call)) return refuse(wording.wrongApiKey(badApiKey));
  if (body === 'too_large') return refuse(wording.bodyTooLarge(bodyLimitBytes));
  if (target === null) return refuse(wording.unknownUrl(method, path));
  if (method !== (target === 'models' ? 'GET' : 'POST'))
    return refuse(wording.methodNotAllowed(method, path));
  if (target === 'models') return outbound.respond(200, jsonType, modelList);
  try {
    await serve({ ...call, body }, target, outbound, desk);
  } catch (error) {
    if (!response.headersSent) refuse(wording.serverError());
    throw error;
  }
}

/** Names the requests that are refused before anything is drawn for them. */
const plainRequestId = 'req_simulator';

function isBad({ headers, query }: Pick<Call, 'headers' | 'query'>): boolean {
  const secrets = [headers['x-api-key'], headers['x-goog-api-key'], query.get('key')];
  return headers.authorization === `Bearer ${badApiKey}` || secrets.includes(badApiKey);
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
