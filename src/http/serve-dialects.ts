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
import type { Observer } from '../observability/observer.ts';
import type { RequestSpans, Tracer } from '../observability/tracer.ts';
import { readBody } from './body.ts';
import { callerOf, pathOf } from './caller.ts';
import { permitBody } from './expect.ts';
import { Intake, type Place } from './intake.ts';
import { bodyRefusal, contentTypeRefusal, encodingRefusal, tooLarge } from './request-refusals.ts';
import { responseClient, type SendingOptions } from './response-client.ts';
import { turnAway } from './turn-away.ts';
import { UnsentAnswers } from './unsent.ts';

export interface ServingOptions {
  readonly pipeline: Pipeline;
  readonly catalog: Catalog;
  readonly clock: Clock & Timers;
  readonly observer: Observer;
  /** Null where nothing is traced. */
  readonly tracer: Tracer | null;
  /** What is served, each on its own paths. */
  readonly dialects: readonly Dialect[];
  readonly bounds: DataPlaneBounds;
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

interface Serving extends ServingOptions {
  readonly intake: Intake;
  readonly sending: SendingOptions;
}

/** A request at one of a dialect's paths. */
interface Arrived {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly dialect: Dialect;
  /** The pattern that its path matched. */
  readonly route: string;
  /** Who it was when it came. Whether it still may is asked again once its body is there. */
  readonly caller: Caller;
}

/** What the providers' clients post, from their first byte to the pipeline. */
export function serveDialects(server: FastifyInstance, options: ServingOptions): void {
  const { pipeline, clock, dialects, bounds } = options;
  const { maxRequests, bodies, maxUnsentBytes, stallMs } = bounds;
  const unsent = new UnsentAnswers(maxUnsentBytes, clock);
  const serving: Serving = {
    ...options,
    intake: new Intake({ maxRequests, bodies, inFlight: () => pipeline.inFlight }),
    sending: { stallMs, timers: clock, unsent },
  };
  for (const dialect of dialects) {
    for (const route of dialect.paths) {
      // All of it is done by this hook. What the web framework does between it and a handler is for bodies that it
      // parses, and this one is forwarded byte for byte, whatever its content type.
      const onRequest = (request: FastifyRequest, reply: FastifyReply, fail: (error: Error) => void) => {
        const caller = { ...callerOf(request), secretHash: secretHashOf(request.headers) };
        meet({ request, reply, dialect, route, caller }, serving, fail);
      };
      server.post(route, { onRequest }, neverCalled);
    }
  }
}

function neverCalled(): never {
  throw new Error('every request is answered before');
}

/** @param fail is told what breaks before the pipeline has it */
function meet(arrived: Arrived, serving: Serving, fail: (error: Error) => void): void {
  const { reply, dialect, caller } = arrived;
  // Whoever isn't known may not fill the memory. Nothing is read of the body; the refusal is the pipeline's.
  const entered = whenKnown(authenticate(caller, serving), ({ kind }) =>
    kind === 'refused' ? null : enter(arrived, serving),
  );
  const go = (place: Place | Refusal | null): void | Promise<void> => {
    if (place === null) return serve(arrived, nothing, null, serving);
    if (place.kind === 'place') return receive(arrived, place, serving);
    turnAway(reply, place, dialect, serving);
  };
  const going = entered instanceof Promise ? entered.then(go) : go(entered);
  going?.catch((error) => (reply.sent ? undefined : fail(error)));
}

function enter({ request }: Arrived, { intake, bounds }: Serving): Place | Refusal {
  const declaredBytes = declaredLength(request);
  const { maxBodyBytes } = bounds;
  if (declaredBytes !== null && declaredBytes > maxBodyBytes) return tooLarge(maxBodyBytes);
  return contentTypeRefusal(request) ?? encodingRefusal(request) ?? intake.enter(declaredBytes);
}

/** Reads the body. */
async function receive(arrived: Arrived, place: Place, serving: Serving): Promise<void> {
  const { request, reply, dialect } = arrived;
  const { bounds, clock } = serving;
  // Gone while its API key was looked up: of such a connection nothing more is heard.
  if (reply.raw.destroyed) return place.leave();
  let isServed = false;
  // A connection that breaks before the request is served is told by nothing else.
  reply.raw.once('close', () => {
    if (!isServed) place.leave();
  });
  permitBody(request, reply);
  const body = await readBody(request.raw, {
    maxBytes: bounds.maxBodyBytes,
    declaredBytes: declaredLength(request),
    stallMs: bounds.stallMs,
    timers: clock,
    hold: (bytes) => place.hold(bytes),
  });
  if (body.kind === 'body') {
    serve(arrived, body.bytes, place, serving);
    isServed = true;
    return;
  }
  // What it had is gone already, and others wait for the room.
  place.leave();
  turnAway(reply, bodyRefusal(body, bounds), dialect, serving);
}

/** @param place null for one that takes none */
function serve(arrived: Arrived, body: Buffer, place: Place | null, serving: Serving): void {
  const { request, reply, dialect, route, caller } = arrived;
  const { pipeline, clock, tracer, sending } = serving;
  const arrivedAtMs = clock.monotonic();
  const call = callOf(request.url, body);
  if (call === null) {
    place?.leave();
    turnAway(reply, unreadablePath, dialect, serving);
    return;
  }
  const spans = tracer === null ? null : spansOf(request, route, tracer);
  const client = responseClient(reply.raw, dialect, sending);
  // From here on the answer is the pipeline's, which streams it and must own the connection.
  reply.hijack();
  // It knows how long it needs the body, and nothing else keeps it.
  void pipeline.serve({ dialect, ...caller, call, arrivedAtMs, spans }, client).finally(() => {
    place?.leave();
    spans?.ended(reply.raw.headersSent ? reply.raw.statusCode : null);
  });
}

function spansOf(request: FastifyRequest, route: string, tracer: Tracer): RequestSpans | null {
  const { method, url, protocol: scheme, headers } = request;
  return tracer.requestArrived({ method, route, path: pathOf(url), scheme, headers });
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

/** Of whoever isn't known. */
const nothing = Buffer.alloc(0);

/** Bytes; null where the client doesn't say. */
function declaredLength({ headers }: FastifyRequest): number | null {
  const declared = headers['content-length'];
  return declared === undefined ? null : Number(declared);
}
