import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';

export interface MetricsServerOptions {
  readonly host: string;
  /** 0 is any that is free. */
  readonly port: number;
  readonly contentType: string;
  /** @param patienceMs how long whoever asks waits for what has to be asked for in turn */
  readonly text: (patienceMs: number) => Promise<string>;
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** As Prometheus waits unless it is told otherwise. */
const usualTimeoutMs = 10_000;
/** Of that time: the rest is for rendering and for the way. */
const patienceShare = 0.6;

function patienceOf(headers: IncomingHttpHeaders): number {
  const seconds = Number(headers['x-prometheus-scrape-timeout-seconds']);
  return patienceShare * (seconds > 0 ? seconds * 1_000 : usualTimeoutMs);
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
  server.get('/metrics', async ({ headers }, reply) => {
    telling ??= text(patienceOf(headers)).finally(() => {
      telling = null;
    });
    return await reply.type(contentType).send(await telling);
  });
  await server.listen({ host, port });
  const { port: listening } = server.server.address() as AddressInfo;
  return { port: listening, close: () => server.close() };
}
