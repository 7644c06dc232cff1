import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import { SqlError } from './drivers/driver.ts';

/** One kind of command, written many at a time. */
export interface BatchWriter<Item, Result> {
  /**
   * Writes all items durably, or none, and answers each in its place. Safe to repeat: an item that is
   * written already is answered as such.
   */
  write(items: readonly Item[]): Promise<readonly Result[]>;
  tenantOf(item: Item): TenantId;
  /** Two items of one identity never share a batch: the second has to see the first. */
  identityOf(item: Item): string;
  /** Whether a full queue refuses it. What closes an open transaction is never refused. */
  readonly refusedWhenFull: boolean;
}

export interface GroupCommitOptions {
  /** A tenant is always in the same lane; a lane has one batch in flight. */
  readonly lanes: number;
  readonly maxBatch: number;
  /** Of those that a full queue refuses, how many may wait in a lane. */
  readonly maxQueue: number;
}

interface Waiting {
  readonly writer: BatchWriter<unknown, unknown>;
  readonly item: unknown;
  readonly key: string;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/**
 * Serialization failure, deadlock, and a unique key that another process took in this very moment:
 * nothing was written, and the same again may well succeed.
 */
const transientStates = new Set(['40001', '40P01', '23505']);
const maxTransientRetries = 10;

/**
 * Writes what waits in one statement: while a batch is being written, the next one gathers. Nothing
 * waits for a timer, so that a lone item costs no more than its own statement.
 */
export class GroupCommit {
  readonly #lanes: readonly Lane[];

  constructor(options: GroupCommitOptions) {
    this.#lanes = Array.from({ length: options.lanes }, () => new Lane(options));
  }

  /**
   * Resolves when the item is durable.
   * @throws Fault OVERLOADED when the lane is full: nothing was written.
   */
  submit<Item, Result>(writer: BatchWriter<Item, Result>, item: Item): Promise<Result> {
    const lane = this.#lanes[laneOf(writer.tenantOf(item), this.#lanes.length)];
    if (lane === undefined) throw new Error('a group commit has at least one lane');
    return lane.submit(writer, item);
  }

  /** Resolves when nothing waits and nothing is being written. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }
}

function laneOf(tenantId: TenantId, lanes: number): number {
  let sum = 0;
  for (let index = 0; index < tenantId.length; index++) sum = (sum * 31 + tenantId.charCodeAt(index)) | 0;
  return Math.abs(sum) % lanes;
}

class Lane {
  readonly #options: GroupCommitOptions;
  #queue: Waiting[] = [];
  #refusable = 0;
  #running: Promise<void> | null = null;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  submit<Item, Result>(writer: BatchWriter<Item, Result>, item: Item): Promise<Result> {
    if (writer.refusedWhenFull && this.#refusable >= this.#options.maxQueue) {
      return Promise.reject(
        new Fault('OVERLOADED', 'Too much is waiting for the ledger. Nothing was charged; try again.'),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#queue.push({
      writer: writer as BatchWriter<unknown, unknown>,
      item,
      key: `${writer.tenantOf(item)}\n${writer.identityOf(item)}`,
      resolve: resolve as (result: unknown) => void,
      reject,
    });
    if (writer.refusedWhenFull) this.#refusable++;
    this.#running ??= this.#run();
    return promise;
  }

  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // What is submitted in the same turn of the event loop shares the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#writeAll(this.#take());
    this.#running = null;
  }

  /** The next batch: in order, no identity twice; what has to wait keeps its order. */
  #take(): readonly Waiting[] {
    const batch: Waiting[] = [];
    const later: Waiting[] = [];
    const taken = new Set<string>();
    for (const waiting of this.#queue) {
      if (batch.length < this.#options.maxBatch && !taken.has(waiting.key)) {
        taken.add(waiting.key);
        batch.push(waiting);
        if (waiting.writer.refusedWhenFull) this.#refusable--;
      } else {
        taken.add(waiting.key);
        later.push(waiting);
      }
    }
    this.#queue = later;
    return batch;
  }

  /** Each kind of command is a statement of its own; a failure of one kind leaves the others be. */
  async #writeAll(batch: readonly Waiting[]): Promise<void> {
    for (const [writer, group] of Map.groupBy(batch, (waiting) => waiting.writer)) {
      await this.#write(writer, group);
    }
  }

  async #write(writer: Waiting['writer'], group: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#writeRetrying(writer, group);
      for (const [index, waiting] of group.entries()) waiting.resolve(results[index]);
    } catch (error) {
      // The engine refused the statement for one item's sake: alone, each finds its own fate.
      if (error instanceof SqlError && group.length > 1) {
        for (const waiting of group) await this.#write(writer, [waiting]);
        return;
      }
      for (const waiting of group) waiting.reject(error);
    }
  }

  async #writeRetrying(writer: Waiting['writer'], group: readonly Waiting[]): Promise<readonly unknown[]> {
    const items = group.map((waiting) => waiting.item);
    for (let attempt = 1; ; attempt++) {
      try {
        return await writer.write(items);
      } catch (error) {
        const transient = error instanceof SqlError && transientStates.has(error.sqlState);
        if (!transient || attempt > maxTransientRetries) throw error;
        await sleep(attempt);
      }
    }
  }
}
