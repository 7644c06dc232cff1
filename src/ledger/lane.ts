import type { TenantId } from '../domain/ids.ts';

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

export type Writer = BatchWriter<unknown, unknown>;

/** What waits for its batch, and for the answer. */
export interface Waiting {
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

/** What a batch has room for still. */
export interface Room {
  readonly items: number;
  readonly tenants: number;
}

/**
 * What waits of the tenants of one lane. Each kind of command is a statement of its own, and the kinds take turns:
 * however many new transactions wait in the lane, what closes one waits for one batch of each other kind of it at most,
 * and a flood of closings holds up new transactions no longer than that.
 */
export class Lane {
  /** Whether a batch with items of this lane is being written: the next ones wait for it. */
  isBusy = false;
  /** Until then its batches are written without other lanes': one of its tenants may hold them up. */
  apartUntilMs = Number.NEGATIVE_INFINITY;
  /** What may be written now, by kind; the kind whose turn it is comes first. */
  readonly #ready = new Map<Writer, Waiting[]>();
  /** The newest of each identity that waits or is being written. */
  readonly #newest = new Map<string, Waiting>();
  #waiting = 0;
  #refusable = 0;

  /** What waits, of every kind. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Of what waits, what a full queue refuses. */
  get refusable(): number {
    return this.#refusable;
  }

  /** The kind whose turn it is; undefined where nothing can be written. */
  get turn(): Writer | undefined {
    const [writer] = this.#ready.keys();
    return writer;
  }

  /** How many items could be written now of the kind whose turn it is. */
  get ready(): number {
    const [queue] = this.#ready.values();
    return queue?.length ?? 0;
  }

  /** Since when the first of them waits. */
  get oldestMs(): number {
    const [queue] = this.#ready.values();
    return queue?.[0]?.sinceMs ?? Number.POSITIVE_INFINITY;
  }

  enter(waiting: Waiting): void {
    this.#waiting++;
    if (waiting.writer.refusedWhenFull) this.#refusable++;
    const before = this.#newest.get(waiting.key);
    this.#newest.set(waiting.key, waiting);
    if (before === undefined) this.#makeReady(waiting);
    else before.next = waiting;
  }

  /** Takes those of the kind whose turn it is that have come first. */
  take(room: Room): { readonly items: readonly Waiting[]; readonly tenants: number } {
    const [queue] = this.#ready.values();
    if (queue === undefined) return { items: [], tenants: 0 };
    const tenants = new Set<TenantId>();
    let size = 0;
    for (const { writer, item } of queue) {
      const tenantId = writer.tenantOf(item);
      if (size === room.items || (tenants.size === room.tenants && !tenants.has(tenantId))) break;
      tenants.add(tenantId);
      size++;
    }
    const items = queue.splice(0, size);
    this.#waiting -= size;
    if (items[0]?.writer.refusedWhenFull) this.#refusable -= size;
    return { items, tenants: tenants.size };
  }

  /** What is answered makes room for the next of its identity. */
  leave(waiting: Waiting): void {
    if (waiting.next === null) this.#newest.delete(waiting.key);
    else this.#makeReady(waiting.next);
    // A table that the map has outgrown may name it for long: nothing of the request is left in it.
    waiting.item = null;
    waiting.resolve = nobody;
    waiting.reject = nobody;
  }

  /** The kind that was written goes behind those that came in the meantime. */
  passTurn(writer: Writer): void {
    const queue = this.#ready.get(writer);
    this.#ready.delete(writer);
    if (queue !== undefined && queue.length > 0) this.#ready.set(writer, queue);
  }

  #makeReady(waiting: Waiting): void {
    const queue = this.#ready.get(waiting.writer);
    if (queue === undefined) this.#ready.set(waiting.writer, [waiting]);
    else queue.push(waiting);
  }
}
