import { Fault } from '../../domain/errors.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Instruments } from './instruments.ts';

type Answer = { readonly kind: string };

/**
 * A ledger whose attempts to charge are timed, and counted where they fail: what it has taken in the end is told by whom it
 * was taken for. What it answers and throws is the ledger's own.
 */
export function createMeasuredLedger<Measured extends Ledger>(ledger: Measured, to: Instruments): Measured {
  return {
    ...ledger,
    commitPending: (commit) => charging(to, () => ledger.commitPending(commit)),
    voidPending: async (close) => {
      const answer = await ledger.voidPending(close);
      if (answer.kind === 'voided' && close.record.stream) safely(() => to.streamsFailed.inc());
      return answer;
    },
    deduct: async (deduction) => {
      const answer = await charging(to, () => ledger.deduct(deduction));
      if (answer.kind === 'posted') safely(() => to.deducted.inc());
      if (answer.kind === 'duplicate') safely(() => to.idempotentHits.inc());
      return answer;
    },
    credit: async (topUp) => {
      const answer = await ledger.credit(topUp);
      if (answer.kind === 'duplicate') safely(() => to.idempotentHits.inc());
      return answer;
    },
  };
}

/** What the ledger has says nothing against an attempt: its answer to an earlier one may have been lost. */
const refused = new Set(['already_voided', 'unknown_transaction', 'conflict', 'unknown_tenant']);

/** Only what the ledger answers is timed: how long it was away is no time of a write. */
async function charging<T extends Answer>(to: Instruments, attempt: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  try {
    const answer = await attempt();
    safely(() => {
      to.billingDuration.observe((performance.now() - startedAtMs) / 1000);
      if (refused.has(answer.kind)) to.notDeducted.inc({ reason: answer.kind });
    });
    return answer;
  } catch (error) {
    safely(() => to.notDeducted.inc({ reason: error instanceof Fault ? error.code : 'INTERNAL' }));
    throw error;
  }
}

/** A charge that is taken stays so, whatever becomes of its metrics. */
function safely(count: () => void): void {
  try {
    count();
  } catch {
    // There is nobody to tell.
  }
}
