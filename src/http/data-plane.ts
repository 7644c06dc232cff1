import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Catalog } from '../catalog/catalog.ts';
import type { ClientCall, Dialect } from '../dialects/dialect.ts';
import type { Clock } from '../domain/clock.ts';
import { type Refusal, refusal, refusalOf } from '../domain/errors.ts';
import { authenticate } from '../gateway/authenticate.ts';
import type { Pipeline } from '../gateway/pipeline.ts';
import type { Caller } from '../gateway/request.ts';
import { isPriced } from '../gateway/resolve.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Observer } from '../observability/observer.ts';
import { findBilled } from './billing.ts';
import { readBody } from './body.ts';
import { responseClient, wireError } from './response-client.ts';

export interface DataPlaneOptions {
  readonly pipeline: Pipeline;
  readonly catalog: Catalog;
  readonly ledger: Pick<Ledger, 'findByTrace'>;
  readonly clock: Clock;
  readonly observer: Observer;
  /** What is served, each on its own paths. */
  readonly dialects: readonly Dialect[];
  /** Errors of paths that belong to no dialect take the shape of this one. */
  readonly defaultDialect: Dialect;
  readonly maxBodyBytes: number;
}

/** The paths that clients of the providers know, under the names that the providers gave them. */
export async function dataPlane(server: FastifyInstance, options: DataPlaneOptions): Promise<void> {
  const { pipeline, clock, dialects, defaultDialect, maxBodyBytes } = options;

  // The body is forwarded byte for byte, so it is not parsed here, whatever its content type.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', (_: FastifyRequest, payload: IncomingMessage) =>
    readBody(payload, maxBodyBytes),
  );
  server.setErrorHandler((error: Error & { readonly statusCode?: number }, request, reply) => {
    if ((error.statusCode ?? 500) >= 500)
      options.observer.fault(`answering ${pathOf(request.url)}`, error, null);
    send(reply, requestRefusal(error), dialectAt(request.url, options));
  });
  server.setNotFoundHandler((request, reply) => {
    const message = `There is no ${request.method} ${pathOf(request.url)} here.`;
    send(reply, refusal('NOT_FOUND', message), dialectAt(request.url, options));
  });

  // Whoever isn't known may not fill the memory: a body of any size is read for API keys only.
  server.addHook('onRequest', async (request, reply) => {
    if (request.method !== 'POST' || isSmall(request.headers)) return;
    const caller = await authenticate(callerOf(request), options);
    if (caller.kind === 'refused') return send(reply, caller, dialectAt(request.url, options));
  });

  const routes = dialects.flatMap((dialect) => dialect.paths.map((path) => ({ path, dialect })));
  for (const { path, dialect } of routes) {
    server.post(path, (request, reply) => {
      const arrivedAtMs = clock.monotonic();
      const call = callOf(request);
      const refused = call === null ? unreadablePath : bodyRefusal(request, maxBodyBytes);
      if (call === null || refused !== null) return send(reply, refused ?? unreadablePath, dialect);
      // From here on the answer is the pipeline's, which streams it and must own the connection.
      reply.hijack();
      void pipeline.serve(
        { dialect, ...callerOf(request), call, arrivedAtMs },
        responseClient(reply.raw, dialect),
      );
      return reply;
    });
  }

  server.get('/v1/models/*', async (request, reply) => {
    const caller = await authenticate(callerOf(request), options);
    if (caller.kind === 'refused') return send(reply, caller, defaultDialect);
    const { '*': name = '' } = request.params as { '*'?: string };
    const { data } = await listModels(caller.apiKey.models, options);
    const model = data.find(({ id }) => id === name);
    const missing = refusal('MODEL_NOT_FOUND', `There is no model "${name}" here.`, { param: 'model' });
    return model ?? send(reply, missing, defaultDialect);
  });

  server.get('/v1/models', async (request, reply) => {
    const caller = await authenticate(callerOf(request), options);
    if (caller.kind === 'refused') return send(reply, caller, defaultDialect);
    return await listModels(caller.apiKey.models, options);
  });
  server.get('/v1/billing/transactions/*', async (request, reply) => {
    const { '*': traceId = '' } = request.params as { '*'?: string };
    const found = await findBilled(callerOf(request), traceId, options);
    return found.kind === 'refused' ? send(reply, found, defaultDialect) : found.body;
  });
}

function callerOf({ headers, ip }: FastifyRequest): Caller {
  // A socket that is gone has none.
  return { headers, address: ip ?? '' };
}

/** Without the query, where some clients put their secret. */
function pathOf(url: string): string {
  return url.split(/[?#]/, 1)[0] ?? '';
}

const unreadablePath = refusal('REQUEST_INVALID', "The path can't be read: check its percent-encoding.");

/** Null where the path can't be decoded. */
function callOf({ body, url }: FastifyRequest): ClientCall | null {
  const [target = ''] = url.split('#', 1);
  const [path = '', query = ''] = target.split('?', 2);
  try {
    return {
      path: decodeURIComponent(path),
      query: new URLSearchParams(query),
      body: Buffer.isBuffer(body) ? body : Buffer.alloc(0),
    };
  } catch {
    return null;
  }
}

/** The dialect in whose paths a request's lies, so that whoever sent it can read why it was refused. */
function dialectAt(url: string, { dialects, defaultDialect }: DataPlaneOptions): Dialect {
  const path = pathOf(url);
  const near = dialects.find(({ paths }) =>
    paths.some((own) => {
      const root = own.replace(/\/?\*?$/, '');
      return path === root || path.startsWith(`${root}/`);
    }),
  );
  return near ?? defaultDialect;
}

/** The models that an API key may use and that have a price, in the shape of OpenAI's list. */
async function listModels(
  permitted: readonly string[] | null,
  { catalog, clock }: Pick<DataPlaneOptions, 'catalog' | 'clock'>,
) {
  const models = await catalog.listModels();
  const priced = await Promise.all(models.map((model) => isPriced(model, catalog, clock.now())));
  const usable = models.filter(
    ({ name, targets }, index) =>
      priced[index] === true && targets.length > 0 && (permitted === null || permitted.includes(name)),
  );
  return {
    object: 'list',
    data: usable.map(({ name, targets, createdAt }) => ({
      id: name,
      object: 'model',
      created: Math.floor(createdAt.getTime() / 1000),
      owned_by: targets[0]?.upstream.provider ?? 'tollgate',
    })),
  };
}

const smallBodyBytes = 64 * 1024;

function isSmall(headers: FastifyRequest['headers']): boolean {
  return (
    headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) <= smallBodyBytes
  );
}

function send(reply: FastifyReply, refused: Refusal, dialect: Dialect): FastifyReply {
  const { status, headers, body } = wireError(refused, dialect);
  return reply.code(status).headers(headers).send(body);
}

/** What the web framework refuses is the request's fault, and anything else is ours. */
function requestRefusal(error: Error & { readonly statusCode?: number }): Refusal {
  const { statusCode = 500, message } = error;
  if (statusCode < 500) return refusal('REQUEST_INVALID', `${message}. Nothing was charged.`);
  return refusalOf(error, 'Something went wrong before the request could be served. Nothing was charged.');
}

function bodyRefusal({ headers, body }: FastifyRequest, maxBodyBytes: number): Refusal | null {
  if (!Buffer.isBuffer(body) && body !== undefined && body !== null) {
    return refusal(
      'REQUEST_TOO_LARGE',
      `The body is larger than ${maxBodyBytes} bytes. Nothing was charged.`,
    );
  }
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return null;
  return refusal('REQUEST_INVALID', `Send the body without compression, not as "${encoding}".`);
}
