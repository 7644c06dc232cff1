import { setTimeout as sleep } from 'node:timers/promises';
import { askRedis } from '../support/services/ask-redis.ts';
import type { TcpProxy } from '../support/services/tcp-proxy.ts';
import { nowMs } from './exchange.ts';
import { longStopMs, type Step } from './plan.ts';
import type { Fault } from './records.ts';
import type { Stage, StagedGateway } from './stage.ts';

/** Does what is planned, and writes down what was done. */
export interface FaultMaker {
  readonly done: readonly Fault[];
  run(plan: readonly Step[]): Promise<void>;
  /** Everything runs again, and answers. @throws Error where that can't be done, or takes more than 150 s */
  mend(): Promise<void>;
}

export interface FaultMakerOptions {
  readonly stage: Stage;
  readonly tell: (line: string) => void;
}

type Store = Stage['redis'] | Stage['postgres'];
const triesToRestart = 60;
/** Longer than a gateway's start may take, and than any fault lasts. */
const mendsWithinMs = 150_000;

export function createFaultMaker({ stage, tell }: FaultMakerOptions): FaultMaker {
  const done: Fault[] = [];
  const underway = new Set<Promise<void>>();
  const failures: unknown[] = [];
  /** What is being killed or started again, and what stands still. */
  const down = new Set<object>();
  const still = new Set<object>();
  /** Those that are to come back after they were taken for dead: they aren't killed before. */
  const spared = new Set<object>();
  const { postgres, redis, gateways } = stage;

  async function record(step: Step, gateway: StagedGateway | null, work: () => Promise<void>): Promise<void> {
    const index = gateway?.process.index ?? null;
    const fault: Fault = { kind: step.kind, gateway: index, fromMs: nowMs(), toMs: null };
    done.push(fault);
    tell(`${step.kind}${index === null ? '' : ` ${index}`}, ${step.lastsMs} ms`);
    await work();
    fault.toMs = nowMs();
  }

  async function kill(step: Step): Promise<void> {
    const wanted = gateways[step.gateway]!;
    const other = gateways[1 - step.gateway]!;
    const order = {
      kill_gateway: [wanted, other, redis, postgres],
      kill_redis: [redis, wanted, other, postgres],
      kill_postgres: [postgres, wanted, other, redis],
    }[step.kind as 'kill_gateway' | 'kill_redis' | 'kill_postgres'];
    const target = order.find((one) => !down.has(one) && !spared.has(one));
    if (target === undefined) return;
    down.add(target);
    still.delete(target);
    try {
      if (target === redis) await record({ ...step, kind: 'kill_redis' }, null, () => replaceRedis(step));
      else if (target === postgres) {
        await record({ ...step, kind: 'kill_postgres' }, null, () => replacePostgres(step));
      } else {
        const gateway = target as StagedGateway;
        await record({ ...step, kind: 'kill_gateway' }, gateway, () => killGateway(gateway, step));
      }
    } finally {
      down.delete(target);
    }
  }

  async function replaceRedis({ lastsMs }: Step): Promise<void> {
    await redis.crash();
    await sleep(lastsMs);
    await restart(redis);
  }

  async function replacePostgres({ lastsMs }: Step): Promise<void> {
    await postgres.kill();
    await sleep(lastsMs);
    await restart(postgres);
  }

  /** Started again in the background: it may be killed once more before it is ready. */
  async function killGateway({ process }: StagedGateway, { lastsMs }: Step): Promise<void> {
    await process.kill();
    await sleep(lastsMs);
    track(process.start());
  }

  async function stop(step: Step): Promise<void> {
    const target = {
      stop_gateway: gateways[step.gateway]!,
      stop_redis: redis,
      stop_postgres: postgres,
    }[step.kind as 'stop_gateway' | 'stop_redis' | 'stop_postgres'];
    if (down.has(target) || still.has(target)) return;
    still.add(target);
    if (step.lastsMs >= longStopMs.least) spared.add(target);
    const gateway = 'process' in target ? target : null;
    await record(step, gateway, async () => {
      await freeze(target);
      // It may be killed in the meantime, which ends this too.
      const until = nowMs() + step.lastsMs;
      while (nowMs() < until && still.has(target)) await sleep(50);
      if (still.delete(target)) await thaw(target);
    });
    spared.delete(target);
  }

  async function disturb(step: Step): Promise<void> {
    const gateway = gateways[step.gateway]!;
    const proxy = step.kind.endsWith('redis') ? gateway.toRedis : gateway.toPostgres;
    switch (step.kind) {
      case 'flush_redis':
        return await record(step, null, flush);
      case 'cut_redis':
      case 'cut_postgres':
        return await record(step, gateway, async () => proxy.cutAll());
      case 'lose_reply_of_redis':
      case 'lose_reply_of_postgres':
        return await record(step, gateway, async () => {
          if (proxy.replies === 'pass') proxy.replies = 'cut';
        });
      case 'silence_redis':
      case 'silence_postgres':
        return await record(step, gateway, () => silence(proxy, step.lastsMs));
      default:
        return step.kind.startsWith('kill') ? await kill(step) : await stop(step);
    }
  }

  async function flush(): Promise<void> {
    // One that is down or stands still has nothing to flush.
    if (down.has(redis) || still.has(redis)) return;
    await askRedis(redis, (client) => client.flushall()).catch(() => undefined);
  }

  function track(work: Promise<void>): void {
    const tracked = work.catch((error) => void failures.push(error)).finally(() => underway.delete(tracked));
    underway.add(tracked);
  }

  return {
    done,
    run: async (plan) => {
      const startedAtMs = nowMs();
      for (const step of plan) {
        await sleep(Math.max(0, startedAtMs + step.atMs - nowMs()));
        track(disturb(step));
      }
    },
    mend: async () => {
      for (const target of still) {
        still.delete(target);
        await thaw(target as Store | StagedGateway);
      }
      const untilMs = nowMs() + mendsWithinMs;
      while (underway.size > 0) {
        if (nowMs() > untilMs) throw new Error(`${underway.size} faults are not over`);
        await Promise.race([Promise.all(underway), sleep(500)]);
      }
      if (failures.length > 0) throw new Error('a fault could not be made or mended', { cause: failures[0] });
      for (const { toPostgres, toRedis } of gateways) toPostgres.replies = toRedis.replies = 'pass';
    },
  };
}

async function restart(store: Store): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await store.restart();
      return;
    } catch (error) {
      // What the kill left behind may need a moment to go.
      if (attempt === triesToRestart) throw error;
      await sleep(250);
    }
  }
}

async function freeze(target: Store | StagedGateway): Promise<void> {
  if ('process' in target) target.process.stop();
  else await target.freeze();
}

async function thaw(target: Store | StagedGateway): Promise<void> {
  if ('process' in target) target.process.goOn();
  else await target.thaw();
}

/** The network swallows what the server says, and then the connections break. */
async function silence(proxy: TcpProxy, lastsMs: number): Promise<void> {
  proxy.replies = 'swallow';
  await sleep(lastsMs);
  proxy.replies = 'pass';
  proxy.cutAll();
}
