import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';

export interface MetricsServerOptions {
  readonly host: string;
  /** 0 is any that is free. */
  readonly port: number;
  readonly contentType: string;
  readonly text: () => Promise<string>;
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Prometheus is one client, or two of them. */
const mostConnections = 64;
const requestTimeoutMs = 10_000;

/**
 * `GET /metrics` on a port of its own, which the clients of the gateway needn't reach.
 * @throws as a server that can't listen
 */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const { host, port, contentType, text } = options;
  const server = Fastify({
    logger: false,
    bodyLimit: 1,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: true,
  });
  server.server.maxConnections = mostConnections;
  // Several scrapes at one moment are one.
  let telling: Promise<string> | null = null;
  server.get('/metrics', async (_, reply) => {
    telling ??= text().finally(() => {
      telling = null;
    });
    return await reply.type(contentType).send(await telling);
  });
  await server.listen({ host, port });
  const { port: listening } = server.server.address() as AddressInfo;
  return { port: listening, close: () => server.close() };
}
