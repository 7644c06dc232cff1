import {
  addModel,
  addTenant,
  settledTransactionsOf,
  startGateway,
  type TestGateway,
} from '../support/gateway.ts';
import { type SlowProvider, slowModels, startSlowProvider } from '../support/slow-provider.ts';
import { idleStreams } from './offences.ts';
import type { Scale, Stage } from './scenarios.ts';

export interface StageOptions {
  readonly scale: Scale;
  readonly stallSeconds: number;
  readonly env?: Readonly<Record<string, string>>;
  /** A fresh one, removed at the end, where none is given. */
  readonly dataDir?: string;
}

export interface BuiltStage extends Stage {
  readonly gateway: TestGateway;
  /** Whose crowds they are. */
  readonly tenantId: string;
  stop(): Promise<void>;
}

/** So much money that no hold of a crowd is in its way. */
const balance = '10000000';
const firstStreams = 5;

/** A gateway before a provider for crowds, with two tenants. */
export async function buildStage({ scale, stallSeconds, env, dataDir }: StageOptions): Promise<BuiltStage> {
  const provider: SlowProvider = await startSlowProvider();
  const gateway = await startGateway({
    ...(dataDir === undefined ? {} : { dataDir }),
    redoReceipts: false,
    // With code that Node has compiled before, a process is smaller than users' are.
    env: { NODE_COMPILE_CACHE: '', CLIENT_STALL_SECONDS: String(stallSeconds), LOG_LEVEL: 'error', ...env },
  });
  for (const model of Object.keys(slowModels)) await addModel(gateway, model, { baseUrl: provider.url });
  const offender = await addTenant(gateway, { balance });
  const bystander = await addTenant(gateway, { balance });
  const honest = { url: gateway.url, apiKey: bystander.apiKey };
  // What a process loads for its first requests is no offender's.
  (await idleStreams(honest, firstStreams)).letGo();
  await settledTransactionsOf(gateway, bystander.id);
  return {
    gateway,
    provider,
    tenantId: offender.id,
    site: { url: gateway.url, apiKey: offender.apiKey },
    bystander: honest,
    pid: gateway.process.pid ?? 0,
    stallMs: stallSeconds * 1000,
    scale,
    stop: async () => {
      await gateway.stop();
      await provider.close();
    },
  };
}
