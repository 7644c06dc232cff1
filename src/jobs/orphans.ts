import { type Clock, type Timers, within } from '../domain/clock.ts';
import type { ApiKeyId, InstanceId, TransactionId } from '../domain/ids.ts';
import type { UsageRecord } from '../domain/transaction.ts';
import type { Instances, KnownInstance, Orphan, OrphanSearch } from '../ledger/instances.ts';
import type { Commit, Void } from '../ledger/ledger.ts';
import { BeatWatch } from './beat-watch.ts';
import { goneAfterMs } from './heartbeat.ts';
import { toldOnce } from './told-once.ts';

/** `wasThere`: somebody else has closed it the same way. Without it, in another. */
export type SettledOrphan = { readonly wasThere: boolean } | { readonly kind: string };

/** Closes in the ledger, then in hot state; each is tried until it is in. */
export interface OrphanSettlements {
  commit(commit: Commit & { readonly apiKeyId: ApiKeyId }): Promise<SettledOrphan>;
  void(close: Void & { readonly apiKeyId: ApiKeyId }): Promise<SettledOrphan>;
  /** Whether one of them is under way. */
  isSettling(transactionId: TransactionId): boolean;
}

export interface OrphansOptions {
  readonly instances: Instances;
  readonly settlements: OrphanSettlements;
  /** This process' own instance. */
  readonly self: () => InstanceId;
  /** Whether an instance is known to be dead without waiting for its beats: its process is gone, here on this machine. */
  readonly isProvablyDead: (instance: KnownInstance) => boolean;
  /** Whether nobody else can be at work on this ledger: its directory is locked by this process. */
  readonly isAlone: boolean;
  /** Whether this process is at work on it. */
  readonly isRunning: (transactionId: TransactionId) => boolean;
  readonly clock: Clock & Timers;
  /** Told of each orphan that was settled. */
  readonly onSettled: (orphan: Orphan) => void;
  readonly onFault: (what: string, error: unknown) => void;
}

export interface OrphanWatch {
  /** Settles what provably dead processes have left open: before this one says that it is ready. */
  settleDead(): Promise<void>;
  /** Looks on by itself from now on. */
  start(): void;
  /** Looks no more, and waits a moment for what is under way. */
  close(): Promise<void>;
}

const lookEveryMs = 5_000;
/** What a dead process had sent may still arrive. */
const lookedAfterMs = 60_000;
const expiredEveryMs = 60_000;
/** Beyond its expiry a transaction is nobody's: its owner ends what runs a minute before. */
const expiryGraceMs = 60_000;
const closesWithinMs = 1_000;
const settlesWithinMs = 5_000;
const pageSize = 200;
const atOnce = 50;

/**
 * Settles PENDING transactions that nobody is at work on: of processes that have died, to their last checkpoint, and
 * without a charge where nothing was delivered. Any process may do it, and several at once: a transaction is closed
 * under the lock of its row, by whoever comes first.
 */
export function createOrphanWatch(options: OrphansOptions): OrphanWatch {
  return new Watch(options);
}

class Watch implements OrphanWatch {
  readonly #options: OrphansOptions;
  readonly #beats = new BeatWatch(goneAfterMs);
  #looking: Promise<void> = Promise.resolve();
  #forget: () => void = () => {};
  #isClosed = false;
  readonly #told: (look: Promise<void>) => Promise<void>;
  #expiredAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: OrphansOptions) {
    this.#options = options;
    this.#told = toldOnce('looking for orphans', options.onFault);
  }

  async settleDead(): Promise<void> {
    const { instances, isAlone, isProvablyDead, self } = this.#options;
    const known = await instances.unsettled();
    const dead = known.filter((one) => one.id !== self() && (isAlone || isProvablyDead(one)));
    const owners = await this.#end(dead);
    if (isAlone) await this.#settle({ owners, expired: null, allBut: self() });
    else await this.#settleOf([...owners, ...known.filter(({ hasEnded }) => hasEnded).map(({ id }) => id)]);
  }

  start(): void {
    if (this.#isClosed) return;
    this.#forget = this.#options.clock.after(lookEveryMs, () => {
      this.#looking = this.#told(this.#look()).finally(() => this.start());
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forget();
    // What it settles may wait for a ledger that is away, and others settle it as well.
    await within(this.#options.clock, this.#looking, closesWithinMs);
  }

  async #look(): Promise<void> {
    const { instances, isProvablyDead, self, clock } = this.#options;
    const askedAtMs = clock.monotonic();
    const known = await instances.unsettled();
    const answeredAtMs = clock.monotonic();
    const others = known.filter(({ id }) => id !== self());
    const stopped = this.#beats.observe({ askedAtMs, answeredAtMs, instances: others });
    const dead = others.filter((one) => !one.hasEnded && (stopped.includes(one) || isProvablyDead(one)));
    const owners = await this.#end(dead);
    await this.#settleOf([...owners, ...others.filter(({ hasEnded }) => hasEnded).map(({ id }) => id)]);
    await this.#settleExpired(answeredAtMs);
  }

  /** @returns those that were dead: one that has beaten in the meantime is not */
  async #end(dead: readonly KnownInstance[]): Promise<readonly InstanceId[]> {
    const ended: InstanceId[] = [];
    for (const { id, beat } of dead) if (await this.#options.instances.end(id, beat)) ended.push(id);
    return ended;
  }

  async #settleOf(owners: readonly InstanceId[]): Promise<void> {
    if (owners.length === 0) return;
    await this.#settle({ owners, expired: null, allBut: null });
    await this.#options.instances.markSettled(lookedAfterMs);
  }

  async #settleExpired(nowMs: number): Promise<void> {
    if (nowMs - this.#expiredAtMs < expiredEveryMs) return;
    this.#expiredAtMs = nowMs;
    const expired = { forMs: expiryGraceMs, self: this.#options.self() };
    await this.#settle({ owners: [], expired, allBut: null });
  }

  async #settle(search: Pick<OrphanSearch, 'owners' | 'expired' | 'allBut'>): Promise<void> {
    let after: OrphanSearch['after'] = null;
    for (;;) {
      const orphans = await this.#options.instances.orphans({ ...search, after, limit: pageSize });
      for (let from = 0; from < orphans.length; from += atOnce)
        await this.#settleTogether(orphans.slice(from, from + atOnce));
      const last = orphans.at(-1);
      if (last === undefined || orphans.length < pageSize) return;
      after = last;
    }
  }

  /**
   * A row that somebody keeps locked, or that the engine can't write, is tried until it is in: the others don't wait for
   * it, and neither does a start.
   */
  async #settleTogether(orphans: readonly Orphan[]): Promise<void> {
    const settled = Promise.all(orphans.map((orphan) => this.#settleOne(orphan)));
    await within(this.#options.clock, settled, settlesWithinMs);
  }

  /** Never rejects: one that can't be settled keeps nobody from the others. */
  async #settleOne(orphan: Orphan): Promise<void> {
    const { settlements, isRunning, onSettled, onFault } = this.#options;
    if (isRunning(orphan.transactionId) || settlements.isSettling(orphan.transactionId)) return;
    const { checkpoint, owner, openMs: _, ...ids } = orphan;
    try {
      if (checkpoint === 'unknown')
        throw new Error(
          `the checkpoint of transaction ${ids.transactionId} can't be read: a newer version has to settle it`,
        );
      const settled =
        checkpoint === 'nothing'
          ? await settlements.void({ ...ids, ...voided(orphan) })
          : await settlements.commit({ ...ids, ...checkpoint });
      // Of several processes that look at the same, one tells.
      if ('wasThere' in settled && !settled.wasThere) onSettled(orphan);
    } catch (error) {
      const which = `transaction ${ids.transactionId} of instance ${owner}`;
      onFault('settling an orphan', new Error(which, { cause: error }));
    }
  }
}

function voided({ openMs }: Orphan): Pick<Void, 'description' | 'record'> {
  const record: UsageRecord = {
    outcome: 'gateway_died',
    stream: false,
    streamCompleted: null,
    streamError: null,
    finishReason: null,
    latencyMs: openMs,
    timeToFirstByteMs: null,
  };
  return { description: 'the gateway died before it wrote down that anything was delivered', record };
}
