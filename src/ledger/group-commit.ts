import type { Clock, Timers } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { WrittenBatch } from '../observability/observer.ts';
import { isLockTimeout } from './drivers/driver.ts';
import { type BatchWriter, Lane, type Waiting, type Writer } from './lane.ts';
import { writeApart, writeTogether } from './write-batch.ts';

export interface GroupCommitOptions {
  /** A tenant is always in the same lane; a lane is in one batch at a time. So many batches are in flight at most. */
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

/** So many items share what a statement costs whatever it has in it: more gain nothing from waiting for each other. */
const worthAStatement = 64;

/** So long a lane waits at most for a statement that it has no part in. */
const patienceMs = 10;

/** So long after somebody was seen to keep the row of one of its tenants locked, a lane is written without others. */
const apartForMs = 10_000;

/** Of one lane, what it has in a batch. */
interface Part {
  readonly lane: Lane;
  readonly items: readonly Waiting[];
}

interface Batch {
  readonly writer: Writer;
  readonly parts: readonly Part[];
  readonly startedAtMs: number;
  /** Whether what waits in other lanes gathers until it is written. */
  isWaitedFor: boolean;
}

/**
 * Writes what waits in one statement: while a batch is being written, the next one gathers, of all lanes, since a
 * statement costs as much as the writing of a dozen rows. Another one begins beside it where enough waits for it, or has
 * waited long enough. A lone item waits for no timer, and costs no more than its own statement.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #lanes: readonly Lane[];
  /** The same, those that were in a batch last come last. */
  readonly #inTurn: Lane[];
  readonly #inFlight = new Set<Batch>();
  #isWoken = false;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.lanes }, () => new Lane());
    this.#inTurn = [...this.#lanes];
  }

  /**
   * Resolves when the item is durable.
   * @throws Fault OVERLOADED when the lane is full: nothing was written.
   */
  submit<Item, Result>(writer: BatchWriter<Item, Result>, item: Item): Promise<Result> {
    const lane = this.#lanes[laneOf(writer.tenantOf(item), this.#lanes.length)];
    if (lane === undefined) throw new Error('a group commit has at least one lane');
    if (writer.refusedWhenFull && lane.refusable >= this.#options.maxQueue) {
      return Promise.reject(
        new Fault('OVERLOADED', 'Too much is waiting for the ledger. Nothing was charged; try again.'),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    lane.enter({
      writer: writer as Writer,
      item,
      key: `${writer.tenantOf(item)}\n${writer.identityOf(item)}`,
      sinceMs: this.#options.clock.monotonic(),
      next: null,
      resolve: resolve as (result: unknown) => void,
      reject,
    });
    // While its lane is in a batch, it waits for the end of that.
    if (!lane.isBusy) this.#wake();
    return promise;
  }

  /** Of those that a full queue refuses, how many wait in the fullest lane. */
  fullest(): number {
    return Math.max(...this.#lanes.map(({ refusable }) => refusable));
  }

  /** What is submitted in one turn of the event loop shares a batch. */
  #wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    setImmediate(() => {
      this.#isWoken = false;
      for (let batch = this.#next(); batch !== null; batch = this.#next()) void this.#run(batch);
    });
  }

  /** @returns null where nothing can be written, or what is in flight is better waited for */
  #next(): Batch | null {
    const nowMs = this.#options.clock.monotonic();
    const isNoneWaitedFor = [...this.#inFlight].every(({ isWaitedFor }) => !isWaitedFor);
    const enough = Math.min(worthAStatement, this.#options.maxBatch);
    const free = this.#inTurn.filter((lane) => !lane.isBusy);
    for (const lead of free) {
      const { turn } = lead;
      if (turn === undefined) continue;
      const isApart = nowMs < lead.apartUntilMs;
      const lanes = isApart
        ? [lead]
        : free.filter((lane) => lane.turn === turn && nowMs >= lane.apartUntilMs);
      const hasWaited = nowMs - lead.oldestMs >= patienceMs;
      if (!isNoneWaitedFor && !hasWaited && readyIn(lanes) < enough) continue;
      return { writer: turn, parts: this.#take(lanes), startedAtMs: nowMs, isWaitedFor: !isApart };
    }
    return null;
  }

  #take(lanes: readonly Lane[]): readonly Part[] {
    const parts: Part[] = [];
    let room = { items: this.#options.maxBatch, tenants: mostTenants };
    for (const lane of lanes) {
      // The next ones are worth a statement of their own.
      if (this.#options.maxBatch - room.items >= worthAStatement) break;
      const { items, tenants } = lane.take(room);
      if (items.length === 0) break;
      parts.push({ lane, items });
      room = { items: room.items - items.length, tenants: room.tenants - tenants };
      lane.isBusy = true;
      this.#inTurn.splice(this.#inTurn.indexOf(lane), 1);
      this.#inTurn.push(lane);
    }
    return parts;
  }

  async #run(batch: Batch): Promise<void> {
    const { clock } = this.#options;
    const { writer, parts } = batch;
    const items = parts.flatMap((part) => part.items);
    this.#inFlight.add(batch);
    const forget = clock.after(patienceMs, () => {
      batch.isWaitedFor = false;
      this.#wake();
    });
    const failure = await writeTogether(writer, items, clock);
    const isLocked = failure !== null && isLockTimeout(failure.error);
    if (isLocked && parts.length > 1) {
      // Of these lanes one is held up: each goes on by itself, and is free as soon as it can be.
      for (const part of parts) void this.#run({ ...batch, parts: [part] });
    } else {
      const written = failure === null ? items.length : await writeApart(writer, items, failure.error, clock);
      for (const part of parts) finish(part, writer);
      if (isLocked) for (const { lane } of parts) lane.apartUntilMs = clock.monotonic() + apartForMs;
      this.#tell(batch, { items, written });
    }
    forget();
    this.#inFlight.delete(batch);
    this.#wake();
  }

  #tell(
    { parts, startedAtMs }: Batch,
    { items, written }: { readonly items: readonly Waiting[]; readonly written: number },
  ): void {
    const { onBatch, clock } = this.#options;
    if (onBatch === null) return;
    const oldestMs = items.reduce((oldest, { sinceMs }) => Math.min(oldest, sinceMs), startedAtMs);
    try {
      onBatch({
        size: items.length,
        failed: items.length - written,
        waitedMs: startedAtMs - oldestMs,
        writeMs: clock.monotonic() - startedAtMs,
        queueLength: parts.reduce((sum, { lane }) => sum + lane.waiting, 0),
      });
    } catch {
      // A lane that stops for who watches it would never write again.
    }
  }
}

function laneOf(tenantId: TenantId, lanes: number): number {
  let sum = 0;
  for (let index = 0; index < tenantId.length; index++) sum = (sum * 31 + tenantId.charCodeAt(index)) | 0;
  return Math.abs(sum) % lanes;
}

const readyIn = (lanes: readonly Lane[]) => lanes.reduce((sum, { ready }) => sum + ready, 0);

function finish({ lane, items }: Part, writer: Writer): void {
  for (const waiting of items) lane.leave(waiting);
  // The turn passes on only now: who came while this was being written goes before the rest of it.
  lane.passTurn(writer);
  lane.isBusy = false;
}
