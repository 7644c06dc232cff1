import type { TransactionId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { encodePriceList } from '../domain/price-list-json.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import { encodeReceipt } from '../domain/receipt.ts';
import type { Transaction, UsageRecord } from '../domain/transaction.ts';
import { inputTokens, outputTokens } from '../domain/usage.ts';
import { encodeCheckpoint } from './checkpoint-json.ts';
import type { BatchWriter } from './lane.ts';
import type {
  AlreadyCommitted,
  AlreadyVoided,
  Checkpoint,
  Checkpointed,
  Commit,
  Committed,
  NotOpen,
  UnknownTransaction,
  Void,
  Voided,
} from './ledger.ts';
import { amountParameter, type BatchRow, priceParameter, projectionsOf } from './rows.ts';
import { type Access, columns, findByTraces, identityOf, keyOf, tenantOf } from './writers.ts';

type ClosedBefore = AlreadyCommitted | AlreadyVoided | UnknownTransaction;

function closedBefore(transaction: Transaction | undefined, id: TransactionId): ClosedBefore {
  if (transaction?.id !== id) return { kind: 'unknown_transaction' };
  switch (transaction.status) {
    case 'COMMITTED':
      return { kind: 'already_committed', transaction };
    case 'VOIDED':
      return { kind: 'already_voided', transaction };
    case 'PENDING':
      throw new Error(`transaction ${transaction.id} is PENDING, yet closing it changed nothing`);
  }
}

const recordColumns = [
  ({ record }: { record: UsageRecord }) => record.outcome,
  ({ record }: { record: UsageRecord }) => record.stream,
  ({ record }: { record: UsageRecord }) => record.streamCompleted,
  ({ record }: { record: UsageRecord }) => record.streamError,
  ({ record }: { record: UsageRecord }) => record.finishReason,
  ({ record }: { record: UsageRecord }) => record.latencyMs,
  ({ record }: { record: UsageRecord }) => record.timeToFirstByteMs,
];

type CommittedRow = BatchRow & {
  readonly id: string;
  readonly amount: string;
  readonly seq: string;
  readonly balance_after: string;
};

function decodeCommitted(row: CommittedRow, projection: QuotaProjection): Committed {
  return {
    kind: 'committed',
    transactionId: row.id as Committed['transactionId'],
    amount: parseAmount(row.amount),
    balanceAfter: parseAmount(row.balance_after),
    seq: Number(row.seq),
    projection,
  };
}

export function commitWriter(access: Access): BatchWriter<Commit, Committed | ClosedBefore> {
  return {
    tenantOf,
    identityOf,
    refusedWhenFull: false,
    write: async (commits) => {
      const rows = await access.driver.queryByKeys<CommittedRow>(
        access.statements.commitPending,
        columns<Commit>(
          commits,
          tenantOf,
          (commit) => commit.transactionId,
          (commit) => amountParameter(commit.amount),
          (commit) => JSON.stringify(commit.metered.usage),
          (commit) => commit.metered.method,
          (commit) => inputTokens(commit.metered.usage),
          (commit) => outputTokens(commit.metered.usage),
          (commit) => amountParameter(commit.costAmount),
          (commit) => commit.provider,
          ...recordColumns,
          (commit) => JSON.stringify(encodePriceList({ rates: commit.rates })),
          (commit) => priceParameter(commit.rates.input ?? null),
          (commit) => priceParameter(commit.rates.output ?? null),
          (commit) => JSON.stringify(encodeReceipt(commit.receipt)),
        ),
      );
      const closed = new Map<string, CommittedRow>(rows.map((row) => [row.id, row]));
      const projectionOf = projectionsOf(rows);
      const before = await findByTraces(
        access,
        commits.filter((commit) => !closed.has(commit.transactionId)),
      );
      return commits.map((commit) => {
        const row = closed.get(commit.transactionId);
        if (row !== undefined) return decodeCommitted(row, projectionOf(row));
        return closedBefore(before.get(keyOf(commit)), commit.transactionId);
      });
    },
  };
}

export function voidWriter(access: Access): BatchWriter<Void, Voided | ClosedBefore> {
  return {
    tenantOf,
    identityOf,
    refusedWhenFull: false,
    write: async (voids) => {
      const rows = await access.driver.queryByKeys<{ id: string }>(
        access.statements.voidPending,
        columns<Void>(
          voids,
          tenantOf,
          (close) => close.transactionId,
          (close) => close.description,
          ...recordColumns,
        ),
      );
      const closed = new Set<string>(rows.map((row) => row.id));
      const before = await findByTraces(
        access,
        voids.filter((close) => !closed.has(close.transactionId)),
      );
      return voids.map((close) =>
        closed.has(close.transactionId)
          ? { kind: 'voided' }
          : closedBefore(before.get(keyOf(close)), close.transactionId),
      );
    },
  };
}

export function checkpointWriter(access: Access): BatchWriter<Checkpoint, Checkpointed | NotOpen> {
  return {
    tenantOf,
    identityOf,
    // The next one comes in a few seconds.
    refusedWhenFull: true,
    write: async (checkpoints) => {
      const rows = await access.driver.queryByKeys<{ id: string }>(
        access.statements.checkpoint,
        columns<Checkpoint>(
          checkpoints,
          tenantOf,
          ({ transactionId }) => transactionId,
          ({ closing }) => JSON.stringify(encodeCheckpoint(closing)),
        ),
      );
      const written = new Set<string>(rows.map((row) => row.id));
      return checkpoints.map(({ transactionId }) =>
        written.has(transactionId) ? { kind: 'checkpointed' } : { kind: 'not_open' },
      );
    },
  };
}
