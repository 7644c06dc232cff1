import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Dialect } from '../dialects/dialect.ts';
import { refusal } from '../domain/errors.ts';
import { authenticate } from '../gateway/authenticate.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { findBilled } from './billing.ts';
import { callerOf, pathOf } from './caller.ts';
import { listModels } from './models.ts';
import { headRefusal, requestRefusal, tooManyHeaders } from './request-refusals.ts';
import { type ServingOptions, serveDialects } from './serve-dialects.ts';
import { headersTooLargeStatus } from './status.ts';
import { send, turnAway } from './turn-away.ts';

export interface DataPlaneOptions extends ServingOptions {
  readonly ledger: Pick<Ledger, 'findByTrace'>;
  /** Errors of paths that belong to no dialect take the shape of this one. */
  readonly defaultDialect: Dialect;
  /** Whether a connection is one too many. */
  readonly isBeyond: (socket: Socket) => boolean;
}

/** The paths that clients of the providers know, under the names that the providers gave them. */
export async function dataPlane(server: FastifyInstance, options: DataPlaneOptions): Promise<void> {
  leaveBodies(server);
  tellErrors(server, options);
  boundHeads(server, options);
  serveDialects(server, options);
  tellTenants(server, options);
}

/** Whoever serves a request reads its body, and nobody reads what isn't served. */
function leaveBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', async () => undefined);
}

/** Before anything is read of a body. */
function boundHeads(server: FastifyInstance, options: DataPlaneOptions): void {
  server.addHook('onRequest', (request, reply, done) => {
    const refused = headRefusal(request, reply, options);
    if (refused === null) return done();
    const status = refused === tooManyHeaders ? headersTooLargeStatus : undefined;
    return turnAway(reply, refused, dialectAt(request.url, options), { ...options, status });
  });
}

function tellErrors(server: FastifyInstance, options: DataPlaneOptions): void {
  server.setErrorHandler((error: Error & { readonly statusCode?: number }, request, reply) => {
    // A client that leaves in the middle of its body is no fault of ours, and there is nobody to tell.
    const hasLeft = error === request.raw.errored;
    if (!hasLeft && (error.statusCode ?? 500) >= 500)
      options.observer.fault('answering a request', new Error(pathOf(request.url), { cause: error }), null);
    const [refused, dialect] = [requestRefusal(error), dialectAt(request.url, options)];
    if (hasLeft || request.method !== 'POST') send(reply, refused, dialect);
    else turnAway(reply, refused, dialect, options);
  });
  server.setNotFoundHandler((request, reply) => {
    const message = `There is no ${request.method} ${pathOf(request.url)} here.`;
    send(reply, refusal('NOT_FOUND', message), dialectAt(request.url, options));
  });
}

/** What is served here, and what became of a request. */
function tellTenants(server: FastifyInstance, options: DataPlaneOptions): void {
  const { defaultDialect } = options;
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
