import type { FastifyInstance } from 'fastify';
import type { HealthReport, PartHealth } from '../observability/health-report.ts';

export interface HealthOptions {
  readonly report: () => Promise<HealthReport>;
  /** False once the process can never serve again, so that whoever runs it starts another. */
  readonly alive: () => boolean;
  /** False before the start is complete and from the start of the drain on. */
  readonly accepting: () => boolean;
}

function partJson({ status, latencyMs, detail }: PartHealth) {
  return { status, latency_ms: latencyMs, detail };
}

/** For people and for whoever routes or restarts: no secret in it, and no API key needed. */
export async function healthRoutes(server: FastifyInstance, options: HealthOptions): Promise<void> {
  server.get('/health', async (_, reply) => {
    const report = await options.report();
    return await reply.code(report.status === 'unhealthy' ? 503 : 200).send({
      status: report.status,
      database: partJson(report.database),
      redis: partJson(report.redis),
      lua_scripts: partJson(report.luaScripts),
    });
  });
  server.get('/health/ready', async (_, reply) => {
    const ready = options.accepting() && (await options.report()).status !== 'unhealthy';
    return await reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready' });
  });
  server.get('/health/live', async (_, reply) => {
    const alive = options.alive();
    return await reply.code(alive ? 200 : 503).send({ status: alive ? 'live' : 'dead' });
  });
}
