import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Catalog } from '../catalog/catalog.ts';
import type { ClientCall, Dialect } from '../dialects/dialect.ts';
import type { ByteBudget } from '../domain/byte-budget.ts';
import type { Clock, Timers } from '../domain/clock.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import { whenKnown } from '../domain/soon.ts';
import { authenticate, secretHashOf } from '../gateway/authenticate.ts';
import type { Pipeline } from '../gateway/pipeline.ts';
import type { Caller } from '../gateway/request.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Observer } from '../observability/observer.ts';
import type { RequestSpans, Tracer } from '../observability/tracer.ts';
import { findBilled } from './billing.ts';
import { type ReadBody, readBody } from './body.ts';
import { permitBody } from './expect.ts';
import { Intake, type Place } from './intake.ts';
import { listModels } from './models.ts';
import {
  bodyRefusal,
  encodingRefusal,
  headRefusal,
  requestRefusal,
  tooLarge,
  tooManyHeaders,
} from './request-refusals.ts';
import { responseClient, wireError } from './response-client.ts';
import { headersTooLargeStatus } from './status.ts';
import { UnsentAnswers } from './unsent.ts';

export interface DataPlaneOptions {
  readonly pipeline: Pipeline;
  readonly catalog: Catalog;
  readonly ledger: Pick<Ledger, 'findByTrace'>;
  readonly clock: Clock & Timers;
  readonly observer: Observer;
  /** Null where nothing is traced. */
  readonly tracer: Tracer | null;
  /** What is served, each on its own paths. */
  readonly dialects: readonly Dialect[];
  /** Errors of paths that belong to no dialect take the shape of this one. */
  readonly defaultDialect: Dialect;
  readonly bounds: DataPlaneBounds;
  /** Whether a connection is one too many. */
  readonly isBeyond: (socket: Socket) => boolean;
}

/** What the requests of a process hold at most. */
export interface DataPlaneBounds {
  readonly maxBodyBytes: number;
  /** Of the bodies of all requests that are under way. */
  readonly bodies: ByteBudget;
  readonly maxUnsentBytes: number;
  readonly maxRequests: number;
  /** So long a client may send nothing of its request, or take nothing of its answer. */
  readonly stallMs: number;
}

/** The paths that clients of the providers know, under the names that the providers gave them. */
export async function dataPlane(server: FastifyInstance, options: DataPlaneOptions): Promise<void> {
  const places: Places = new WeakMap();
  takeBodies(server, places, options);
  tellErrors(server, options);
  boundRequests(server, places, options);
  serveDialects(server, places, options);
  tellTenants(server, options);
}

/** Each request that may be served. */
type Places = WeakMap<FastifyRequest, Entered>;

interface Entered {
  /** Who it was when it came. Whether it still may is asked again once its body is there. */
  readonly caller: Caller;
  /** What it takes of what a process has. */
  readonly place: Place;
}

function takeBodies(server: FastifyInstance, places: Places, { clock, bounds }: DataPlaneOptions): void {
  const { maxBodyBytes, stallMs } = bounds;
  // The body is forwarded byte for byte, so it is not parsed here, whatever its content type.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    const place = places.get(request)?.place;
    if (place === undefined) return unread;
    const hold = (bytes: number) => place.hold(bytes);
    const declaredBytes = declaredLength(request);
    const body = await readBody(payload, {
      maxBytes: maxBodyBytes,
      declaredBytes,
      stallMs,
      timers: clock,
      hold,
    });
    // What it had is gone already, and others wait for the room.
    if (body.kind !== 'body') place.leave();
    return body;
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

/** Before anything is read of a body. */
function boundRequests(server: FastifyInstance, places: Places, options: DataPlaneOptions): void {
  const { pipeline, bounds } = options;
  const { maxBodyBytes, bodies, maxRequests } = bounds;
  const intake = new Intake({ maxRequests, bodies, inFlight: () => pipeline.inFlight });
  server.addHook('onRequest', (request, reply, done) => {
    const refused = headRefusal(request, reply, options);
    if (refused === null) return done();
    const status = refused === tooManyHeaders ? headersTooLargeStatus : undefined;
    return turnAway(reply, refused, dialectAt(request.url, options), { ...options, status });
  });

  /** Whoever isn't known may not fill the memory. Nothing is read of the body; the refusal is the pipeline's. */
  const enter = (request: FastifyRequest, reply: FastifyReply, caller: Caller): Refusal | null => {
    const declaredBytes = declaredLength(request);
    const refused = declaredBytes !== null && declaredBytes > maxBodyBytes ? tooLarge(maxBodyBytes) : null;
    const place = refused ?? encodingRefusal(request) ?? intake.enter(declaredBytes);
    if (place.kind === 'refused') return place;
    places.set(request, { caller, place });
    // A connection that breaks before the request is served is told by nothing else.
    reply.raw.once('close', () => {
      if (places.has(request)) place.leave();
    });
    return null;
  };
  server.addHook('onRequest', (request, reply, done) => {
    if (request.method !== 'POST') return done();
    const caller = { ...callerOf(request), secretHash: secretHashOf(request.headers) };
    const decided = whenKnown(authenticate(caller, options), ({ kind }) =>
      kind === 'refused' ? null : enter(request, reply, caller),
    );
    const answer = (refused: Refusal | null) => {
      if (refused === null) done();
      else turnAway(reply, refused, dialectAt(request.url, options), options);
    };
    if (decided instanceof Promise)
      decided.then(answer).catch((error) => (reply.sent ? undefined : done(error)));
    else answer(decided);
  });
  server.addHook('preParsing', (request, reply, payload, done) => {
    if (places.has(request)) permitBody(request, reply);
    done(null, payload);
  });
}

function serveDialects(server: FastifyInstance, places: Places, options: DataPlaneOptions): void {
  const { pipeline, clock, dialects, bounds, tracer } = options;
  const unsent = new UnsentAnswers(bounds.maxUnsentBytes, clock);
  const sending = { stallMs: bounds.stallMs, timers: clock, unsent };
  const routes = dialects.flatMap((dialect) => dialect.paths.map((path) => ({ path, dialect })));
  for (const { path, dialect } of routes) {
    server.post(path, (request, reply) => {
      const arrivedAtMs = clock.monotonic();
      const body = (request.body as ReadBody | undefined) ?? unread;
      if (body.kind !== 'body') return turnAway(reply, bodyRefusal(body, bounds), dialect, options);
      const call = callOf(request.url, body.bytes);
      if (call === null) return turnAway(reply, unreadablePath, dialect, options);
      // From here on the answer is the pipeline's, which streams it and must own the connection.
      reply.hijack();
      const spans = tracer === null ? null : spansOf(request, path, tracer);
      const { place, caller } = places.get(request) ?? { place: null, caller: callerOf(request) };
      places.delete(request);
      // The pipeline knows how long it needs the body, and nothing else keeps it.
      request.body = undefined;
      const client = responseClient(reply.raw, dialect, sending);
      void pipeline.serve({ dialect, ...caller, call, arrivedAtMs, spans }, client).then(() => {
        place?.leave();
        spans?.ended(reply.raw.headersSent ? reply.raw.statusCode : null);
      });
      return reply;
    });
  }
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

function callerOf({ headers, ip }: FastifyRequest): Caller {
  // A socket that is gone has none.
  return { headers, address: ip ?? '' };
}

function spansOf(request: FastifyRequest, route: string, tracer: Tracer): RequestSpans | null {
  const { method, url, protocol: scheme, headers } = request;
  return tracer.requestArrived({ method, route, path: pathOf(url), scheme, headers });
}

/** Without the query, where some clients put their secret. */
function pathOf(url: string): string {
  return url.split(/[?#]/, 1)[0] ?? '';
}

const unreadablePath = refusal('REQUEST_INVALID', "The path can't be read: check its percent-encoding.");

/** Null where the path can't be decoded. */
function callOf(url: string, body: Buffer): ClientCall | null {
  if (!/[#?%]/.test(url)) return { path: url, query: new URLSearchParams(), body };
  const [target = ''] = url.split('#', 1);
  const [path = '', query = ''] = target.split('?', 2);
  try {
    return { path: decodeURIComponent(path), query: new URLSearchParams(query), body };
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

/** Of whoever isn't known, or sends none. */
const unread: ReadBody = { kind: 'body', bytes: Buffer.alloc(0) };

/** Bytes; null where the client doesn't say. */
function declaredLength({ headers }: FastifyRequest): number | null {
  const declared = headers['content-length'];
  return declared === undefined ? null : Number(declared);
}

/** @param otherStatus where it isn't the code's own */
function send(reply: FastifyReply, refused: Refusal, dialect: Dialect, otherStatus?: number): FastifyReply {
  const { status, headers, body } = wireError(refused, dialect);
  return reply
    .code(otherStatus ?? status)
    .headers(headers)
    .send(body);
}

/** What the pipeline never sees is told here. `status`: where it isn't the code's own. */
function turnAway(
  reply: FastifyReply,
  refused: Refusal,
  dialect: Dialect,
  { observer, status }: Pick<DataPlaneOptions, 'observer'> & { readonly status?: number | undefined },
): FastifyReply {
  observer.turnedAway(refused.code);
  return send(reply, refused, dialect, status);
}
