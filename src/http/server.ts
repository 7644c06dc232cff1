import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { refusal } from '../domain/errors.ts';
import { type AdminPlaneOptions, adminPlane } from './admin-plane.ts';
import { boundConnections } from './connections.ts';
import { type DataPlaneOptions, dataPlane } from './data-plane.ts';
import { type Drain, watchAnswers } from './drain.ts';
import { leaveExpectations } from './expect.ts';
import { type HealthOptions, healthRoutes } from './health.ts';
import { lingerAfterAnswers } from './linger.ts';
import { wireError } from './response-client.ts';
import { answerUnreadable } from './unreadable.ts';

export interface ServerOptions {
  readonly dataPlane: Omit<DataPlaneOptions, 'isBeyond'>;
  readonly maxConnections: number;
  /** Networks of proxies whose x-forwarded-for is believed, from the right to the first that isn't one of them. */
  readonly trustedProxies: readonly string[];
  readonly adminPlane: AdminPlaneOptions;
  readonly health: HealthOptions;
}

/** How long a client may take to send the whole of its request, however steadily. */
const requestTimeoutMs = 300_000;

/** Of the request line and all headers. */
const maxHeaderBytes = 16 * 1024;

/** A client that has so much left to take is waited for. */
const writeAheadBytes = 16 * 1024;

/** A body that is refused is taken and thrown away up to so many times what is permitted. */
const discardFactor = 8;

export interface GatewayServer extends Drain {
  readonly http: FastifyInstance;
}

/** Data plane, admin plane and health on one port. */
export async function createServer(options: ServerOptions): Promise<GatewayServer> {
  const { bounds, clock: timers, defaultDialect } = options.dataPlane;
  const { maxBodyBytes, stallMs } = bounds;
  const unreadable = answerUnreadable({ dialect: defaultDialect, maxHeaderBytes, timers });
  const server = Fastify({
    // Requests are logged once each by the gateway's observer.
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    http: {
      highWaterMark: writeAheadBytes,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: Math.min(stallMs, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(stallMs / 2, 10_000),
    },
    clientErrorHandler: unreadable.handler,
    // What runs is finished by the drain, which knows when; new connections are refused by then.
    forceCloseConnections: 'idle',
    trustProxy: [...options.trustedProxies],
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (_, request, reply) => {
      const message = `The path ${request.url} can't be read: check its percent-encoding.`;
      const { status, headers, body } = wireError(refusal('REQUEST_INVALID', message), defaultDialect);
      void (reply as FastifyReply).code(status).headers(headers).send(body);
    },
  });
  unreadable.watch(server.server);
  leaveExpectations(server.server);
  lingerAfterAnswers(server.server, { maxBytes: maxBodyBytes * discardFactor, stallMs, timers });
  const { maxConnections } = options;
  const { isBeyond } = boundConnections(server.server, { maxConnections, timers });
  await server.register(dataPlane, { ...options.dataPlane, isBeyond });
  await server.register(adminPlane(options.adminPlane));
  await server.register(healthRoutes, options.health);
  return { http: server, ...watchAnswers(server) };
}
