import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { freePort } from '../support/services/free-port.ts';
import { createDatabase, type PostgresService, startPostgres } from '../support/services/postgres.ts';
import { type RedisServer, startRedis } from '../support/services/redis.ts';
import { startTcpProxy, type TcpProxy } from '../support/services/tcp-proxy.ts';
import { createGatewayProcess, type GatewayProcess } from './gateway-process.ts';

/** A gateway, and the ways that it alone has to its stores. */
export interface StagedGateway {
  readonly process: GatewayProcess;
  readonly toPostgres: TcpProxy;
  readonly toRedis: TcpProxy;
}

/** Everything that can die, and what looks on. */
export interface Stage {
  /** Logs and the report; it stays. */
  readonly folder: string;
  readonly postgres: PostgresService;
  readonly redis: RedisServer;
  readonly simulator: Simulator;
  readonly gateways: readonly StagedGateway[];
  /** Past the proxies. */
  readonly databaseUrl: string;
  end(): Promise<void>;
}

/** As Postgres has them by default: what is acknowledged survives. */
const durable = ['fsync=on', 'synchronous_commit=on'];
const gatewayCount = 2;

export async function buildStage(seed: number): Promise<Stage> {
  const undo = new AsyncDisposableStack();
  try {
    const folder = await mkdtemp(join(tmpdir(), 'tollgate-chaos-'));
    const postgres = await startPostgres(durable);
    undo.defer(() => postgres.stop());
    const redis = await startRedis();
    undo.defer(() => redis.stop());
    const simulator = await startSimulator({ seed });
    undo.defer(() => simulator.close());
    const { url: databaseUrl } = await createDatabase(postgres.url);
    const gateways: StagedGateway[] = [];
    for (let index = 0; index < gatewayCount; index++) {
      gateways.push(await stageGateway({ index, folder, databaseUrl, redis }, undo));
    }
    // One after the other: the first one makes the schema.
    for (const gateway of gateways) await gateway.process.start();
    return { folder, postgres, redis, simulator, gateways, databaseUrl, end: () => undo.disposeAsync() };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

interface GatewayPlace {
  readonly index: number;
  readonly folder: string;
  readonly databaseUrl: string;
  readonly redis: RedisServer;
}

async function stageGateway(
  { index, folder, databaseUrl, redis }: GatewayPlace,
  undo: AsyncDisposableStack,
): Promise<StagedGateway> {
  const throughProxy = new URL(databaseUrl);
  const toPostgres = await startTcpProxy(Number(throughProxy.port));
  undo.defer(() => toPostgres.close());
  const toRedis = await startTcpProxy(redis.port);
  undo.defer(() => toRedis.close());
  throughProxy.port = String(toPostgres.port);
  const process = await createGatewayProcess({
    index,
    port: await freePort(),
    folder,
    env: { DATABASE_URL: throughProxy.href, REDIS_URL: `redis://127.0.0.1:${toRedis.port}` },
  });
  undo.defer(() => process.end());
  return { process, toPostgres, toRedis };
}
