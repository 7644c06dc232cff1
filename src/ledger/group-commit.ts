import { setImmediate as loopTurnEnds } from 'node:timers/promises';
import { type Clock, sleep, type Timers } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { WrittenBatch } from '../observability/observer.ts';
import { isLockTimeout, SqlError } from './drivers/driver.ts';

/** One kind of command, written many at a time. */
export interface BatchWriter<Item, Result> {
  /**
   * Writes all items durably, or none, and answers each in its place. Safe to repeat: an item that is
   * written already is answered as such.
   */
  write(items: readonly Item[]): Promise<readonly Result[]>;
  tenantOf(item: Item): TenantId;
  /** Two items of one identity are written one after the other: the second has to see the first. */
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
  readonly clock: Clock & Timers;
  /** Told of every batch once its items are answered; what it throws changes nothing. */
  readonly onBatch: ((batch: WrittenBatch) => void) | null;
}

/**
 * Of so many tenants a batch is at the most: each one's row is locked while it is written, and what a statement does
 * for it is done for each row of the batch.
 */
const mostTenants = 64;

type Writer = BatchWriter<unknown, unknown>;

interface Waiting {
  readonly writer: Writer;
  item: unknown;
  readonly key: string;
  readonly sinceMs: number;
  /** Of the same identity, and written when this one is. */
  next: Waiting | null;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

const nobody = () => undefined;

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

  /** Of those that a full queue refuses, how many wait in the fullest lane. */
  fullest(): number {
    return Math.max(...this.#lanes.map(({ refusable }) => refusable));
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

/**
 * Each kind of command is a statement of its own, and the kinds take turns: however many new transactions
 * wait, what closes one waits for the batch in flight and for one batch of each other kind at most, and a
 * flood of closings holds up new transactions no longer than that.
 */
class Lane {
  readonly #options: GroupCommitOptions;
  /** What may be written now, by kind; the kind whose turn it is comes first. */
  readonly #ready = new Map<Writer, Waiting[]>();
  /** The newest of each identity that waits or is being written. */
  readonly #newest = new Map<string, Waiting>();
  #waiting = 0;
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
    this.#enter({
      writer: writer as Writer,
      item,
      key: `${writer.tenantOf(item)}\n${writer.identityOf(item)}`,
      sinceMs: this.#options.clock.monotonic(),
      next: null,
      resolve: resolve as (result: unknown) => void,
      reject,
    });
    this.#running ??= this.#run();
    return promise;
  }

  get refusable(): number {
    return this.#refusable;
  }

  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  #enter(waiting: Waiting): void {
    this.#waiting++;
    if (waiting.writer.refusedWhenFull) this.#refusable++;
    const before = this.#newest.get(waiting.key);
    this.#newest.set(waiting.key, waiting);
    if (before === undefined) this.#makeReady(waiting);
    else before.next = waiting;
  }

  #makeReady(waiting: Waiting): void {
    const queue = this.#ready.get(waiting.writer);
    if (queue === undefined) this.#ready.set(waiting.writer, [waiting]);
    else queue.push(waiting);
  }

  /** What is answered makes room for the next of its identity. */
  #leave(waiting: Waiting): void {
    if (waiting.next === null) this.#newest.delete(waiting.key);
    else this.#makeReady(waiting.next);
    // A table that the map has outgrown may name it for long: nothing of the request is left in it.
    waiting.item = null;
    waiting.resolve = nobody;
    waiting.reject = nobody;
  }

  async #run(): Promise<void> {
    for (;;) {
      // What is submitted in one turn of the event loop shares a batch.
      await loopTurnEnds();
      const [turn] = this.#ready;
      if (turn === undefined) break;
      await this.#writeNext(...turn);
    }
    this.#running = null;
  }

  async #writeNext(writer: Writer, queue: Waiting[]): Promise<void> {
    const batch = this.#takeFrom(queue);
    this.#waiting -= batch.length;
    if (writer.refusedWhenFull) this.#refusable -= batch.length;
    const startedAtMs = this.#options.clock.monotonic();
    const written = await this.#write(writer, batch, maxTransientRetries);
    for (const waiting of batch) this.#leave(waiting);
    // The turn passes on only now: who came while this was being written goes before the rest of it.
    this.#ready.delete(writer);
    if (queue.length > 0) this.#ready.set(writer, queue);
    this.#tell(batch, { startedAtMs, written });
  }

  #takeFrom(queue: Waiting[]): readonly Waiting[] {
    const tenants = new Set<TenantId>();
    let size = 0;
    for (const { writer, item } of queue) {
      tenants.add(writer.tenantOf(item));
      if (size === this.#options.maxBatch || tenants.size > mostTenants) break;
      size++;
    }
    return queue.splice(0, size);
  }

  /** @returns how many were written; the others are told why they weren't. */
  async #write(writer: Writer, group: readonly Waiting[], retries: number): Promise<number> {
    try {
      const results = await this.#writeRetrying(writer, group, retries);
      for (const [index, waiting] of group.entries()) waiting.resolve(results[index]);
      return group.length;
    } catch (error) {
      if (isLockTimeout(error)) return await this.#writeByTenant(writer, group, error);
      // What says that the ledger is away says so of every item.
      if (!(error instanceof Fault) && group.length > 1) return await this.#writeHalves(writer, group);
      for (const waiting of group) waiting.reject(error);
      return 0;
    }
  }

  async #writeRetrying(
    writer: Writer,
    group: readonly Waiting[],
    retries: number,
  ): Promise<readonly unknown[]> {
    const items = group.map((waiting) => waiting.item);
    for (let attempt = 1; ; attempt++) {
      try {
        return await writer.write(items);
      } catch (error) {
        const transient = error instanceof SqlError && transientStates.has(error.sqlState);
        if (!transient || attempt > retries) throw error;
        await sleep(this.#options.clock, attempt);
      }
    }
  }

  /** One tenant's row is locked: the others don't wait for it. */
  async #writeByTenant(writer: Writer, group: readonly Waiting[], error: unknown): Promise<number> {
    const byTenant = Map.groupBy(group, ({ item }) => writer.tenantOf(item));
    let written = 0;
    if (byTenant.size === 1) for (const waiting of group) waiting.reject(error);
    else for (const ofOne of byTenant.values()) written += await this.#write(writer, ofOne, 0);
    return written;
  }

  /**
   * The engine refused the statement for one item's sake: halves find it in few statements. What was tried
   * again as a whole isn't in every half; each item has all its tries once it is alone.
   */
  async #writeHalves(writer: Writer, group: readonly Waiting[]): Promise<number> {
    const middle = Math.ceil(group.length / 2);
    let written = 0;
    for (const half of [group.slice(0, middle), group.slice(middle)])
      written += await this.#write(writer, half, half.length === 1 ? maxTransientRetries : 0);
    return written;
  }

  #tell(batch: readonly Waiting[], did: { readonly startedAtMs: number; readonly written: number }): void {
    const { onBatch, clock } = this.#options;
    if (onBatch === null) return;
    const oldestMs = batch.reduce((oldest, { sinceMs }) => Math.min(oldest, sinceMs), did.startedAtMs);
    try {
      onBatch({
        size: batch.length,
        failed: batch.length - did.written,
        waitedMs: did.startedAtMs - oldestMs,
        writeMs: clock.monotonic() - did.startedAtMs,
        queueLength: this.#waiting,
      });
    } catch {
      // A lane that stops for who watches it would never write again.
    }
  }
}
