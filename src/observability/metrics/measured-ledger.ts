import { Fault } from '../../domain/errors.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Instruments } from './instruments.ts';

type Answer = { readonly kind: string };

/** A ledger whose charges are counted and timed. What it answers and throws is the ledger's own. */
export function createMeasuredLedger(ledger: Ledger, to: Instruments): Ledger {
  return {
    ...ledger,
    createPending: async (draft) => {
      const answer = await ledger.createPending(draft);
      if (answer.kind === 'duplicate') to.idempotentHits.inc();
      return answer;
    },
    commitPending: async (commit) => {
      const answer = await charging(to, () => ledger.commitPending(commit));
      if (answer.kind === 'committed' && commit.record.stream) to.streamsCommitted.inc();
      return answer;
    },
    voidPending: async (close) => {
      const answer = await ledger.voidPending(close);
      if (answer.kind === 'voided' && close.record.stream) to.streamsFailed.inc();
      return answer;
    },
    deduct: (deduction) => charging(to, () => ledger.deduct(deduction)),
  };
}

const taken = new Set(['committed', 'posted']);
const takenBefore = new Set(['already_committed', 'duplicate']);

/** Only what the ledger answers is timed: how long it was away is no time of a write. */
async function charging<T extends Answer>(to: Instruments, attempt: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  try {
    const answer = await attempt();
    to.billingDuration.observe((performance.now() - startedAtMs) / 1000);
    if (taken.has(answer.kind)) to.deducted.inc();
    else if (takenBefore.has(answer.kind)) to.idempotentHits.inc();
    else to.notDeducted.inc({ reason: answer.kind });
    return answer;
  } catch (error) {
    to.notDeducted.inc({ reason: error instanceof Fault ? error.code : 'INTERNAL' });
    throw error;
  }
}
