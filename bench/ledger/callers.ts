import type { WrittenBatch } from '../../src/observability/observer.ts';

/** Brings one transaction, or one pair of PENDING and COMMIT, into the ledger; throws where it didn't. */
export type Transact = () => Promise<void>;

export const kinds = ['deduct', 'pair'] as const;
export type Kind = (typeof kinds)[number];

/** Who calls at the same time, each time and again. */
export interface Callers extends Readonly<Record<Kind, readonly Transact[]>> {
  /** What was written in batches since it was last asked. */
  takeBatches(): readonly WrittenBatch[];
  close(): Promise<void>;
}

export interface Driven {
  readonly transactions: number;
  readonly perSecond: number;
}

/** Lets every caller transact over and over; the rate is over all that was begun, to its end. */
export async function drive(callers: readonly Transact[], seconds: number): Promise<Driven> {
  const startedAtMs = performance.now();
  const endsAtMs = startedAtMs + seconds * 1_000;
  let transactions = 0;
  const over = async (transact: Transact) => {
    while (performance.now() < endsAtMs) {
      await transact();
      transactions++;
    }
  };
  await Promise.all(callers.map(over));
  return { transactions, perSecond: (transactions * 1_000) / (performance.now() - startedAtMs) };
}
