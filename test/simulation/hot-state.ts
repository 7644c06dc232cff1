import { Fault } from '../../src/domain/errors.ts';
import type { HoldRef, HotState } from '../../src/hot-state/hot-state.ts';
import { createMemoryHotState } from '../../src/hot-state/memory.ts';
import type { Network, Service } from './network.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** What the server has just done, with what it was asked and what it answered. */
export type Executed = {
  [Method in keyof HotState]: {
    readonly method: Method;
    readonly asked: Parameters<HotState[Method]>;
    readonly answer: Awaited<ReturnType<HotState[Method]>>;
  };
}[keyof HotState];

/** Sent, and never answered: whether it ran is not known. */
class ReplyLost extends Fault {}

/** The server that all processes share: the reference model of hot state, behind the network. */
export class HotStateServer implements Service {
  readonly name = 'hot';
  readonly #world: World;
  #memory: HotState;
  #isUp = true;
  #connection = 0;
  lagMs = 0;
  /** Called after each execution, before anything else happens. */
  afterExecution: (executed: Executed) => Promise<void> = async () => undefined;

  constructor(world: World) {
    this.#world = world;
    this.#memory = this.#empty();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get connection(): number {
    return this.#connection;
  }

  get nowMs(): number {
    return Math.floor(this.#world.nowMs + this.lagMs);
  }

  delays(): boolean {
    return false;
  }

  timeoutMs(): number {
    return this.#world.chance.between(1_000, 2_000);
  }

  lost(): Error {
    return new ReplyLost('HOT_STATE_UNAVAILABLE', 'Hot state did not answer.');
  }

  refused(): Error {
    return new Fault('HOT_STATE_UNAVAILABLE', 'Hot state is not there.');
  }

  crash(): void {
    this.#isUp = false;
    this.#connection++;
    this.flush();
  }

  start(): void {
    this.#isUp = true;
  }

  /** Everything is lost. */
  flush(): void {
    this.#memory = this.#empty();
  }

  /** Looks from outside of the simulated world. */
  look(tenantId: Parameters<HotState['look']>[0]): ReturnType<HotState['look']> {
    return this.#memory.look(tenantId);
  }

  async execute<Method extends keyof HotState>(
    method: Method,
    asked: Parameters<HotState[Method]>,
  ): Promise<Awaited<ReturnType<HotState[Method]>>> {
    const run = this.#memory[method] as (...call: Parameters<HotState[Method]>) => Promise<unknown>;
    const answer = (await run(...asked)) as Awaited<ReturnType<HotState[Method]>>;
    const { holder = '' } = asked[0] as { holder?: string };
    const { kind = 'done' } = (answer ?? {}) as { kind?: string };
    this.#world.note(`  hot ${method} ${holder.slice(-4)}: ${kind}`);
    await this.afterExecution({ method, asked, answer } as Executed);
    return answer;
  }

  #empty(): HotState {
    return createMemoryHotState({
      clock: { now: () => this.nowMs, monotonic: () => this.#world.nowMs },
    });
  }
}

const firstPauseMs = 100;
const longestPauseMs = 5_000;
const giveBackWithinMs = 30_000;

/** How a process uses it: as the Redis adapter does, with what that does about lost replies. */
export function hotStateOf(process: Process, network: Network, server: HotStateServer): HotState {
  const call =
    <Method extends keyof HotState>(method: Method) =>
    (...asked: Parameters<HotState[Method]>) =>
      network.call(process, server, method, () => server.execute(method, asked));

  const release = call('release');

  /** The check may have placed a hold that nobody knows of. */
  function giveBack({ tenantId, apiKeyId, traceId, holder }: HoldRef): void {
    const hold = { tenantId, apiKeyId, traceId, holder };
    const { clock } = process;
    const untilMs = clock.monotonic() + giveBackWithinMs;
    const attempt = (pauseMs: number) => {
      if (clock.monotonic() >= untilMs) return;
      release(hold).catch(() => clock.after(pauseMs, () => attempt(Math.min(2 * pauseMs, longestPauseMs))));
    };
    attempt(firstPauseMs);
  }

  const check = call('check');
  return {
    check: async (asked) => {
      try {
        return await check(asked);
      } catch (error) {
        if (error instanceof ReplyLost) giveBack(asked);
        throw error;
      }
    },
    confirm: call('confirm'),
    extend: call('extend'),
    deduct: call('deduct'),
    release,
    project: call('project'),
    load: call('load'),
    lockSession: call('lockSession'),
    unlockSession: call('unlockSession'),
    look: call('look'),
    holds: call('holds'),
    forget: call('forget'),
  };
}
