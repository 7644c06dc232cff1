import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { refusal } from '../domain/errors.ts';
import { type AdminPlaneOptions, adminPlane } from './admin-plane.ts';
import { type DataPlaneOptions, dataPlane } from './data-plane.ts';
import { type Drain, watchAnswers } from './drain.ts';
import { type HealthOptions, healthRoutes } from './health.ts';
import { wireError } from './response-client.ts';

export interface ServerOptions {
  readonly dataPlane: DataPlaneOptions;
  /** Networks of proxies whose x-forwarded-for is believed, from the right to the first that isn't one of them. */
  readonly trustedProxies: readonly string[];
  readonly adminPlane: AdminPlaneOptions;
  readonly health: HealthOptions;
}

/** How long a client may take to send its headers, and the whole of its request. */
const headersTimeoutMs = 30_000;
const requestTimeoutMs = 300_000;

export interface GatewayServer extends Drain {
  readonly http: FastifyInstance;
}

/** Data plane, admin plane and health on one port. */
export async function createServer(options: ServerOptions): Promise<GatewayServer> {
  const server = Fastify({
    // Requests are logged once each by the gateway's observer.
    logger: false,
    bodyLimit: options.dataPlane.maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    // What runs is finished by the drain, which knows when; new connections are refused by then.
    forceCloseConnections: 'idle',
    trustProxy: [...options.trustedProxies],
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (_, request, reply) => {
      const message = `The path ${request.url} can't be read: check its percent-encoding.`;
      const { status, headers, body } = wireError(
        refusal('REQUEST_INVALID', message),
        options.dataPlane.defaultDialect,
      );
      void (reply as FastifyReply).code(status).headers(headers).send(body);
    },
  });
  server.server.headersTimeout = headersTimeoutMs;
  await server.register(dataPlane, options.dataPlane);
  await server.register(adminPlane(options.adminPlane));
  await server.register(healthRoutes, options.health);
  return { http: server, ...watchAnswers(server) };
}
