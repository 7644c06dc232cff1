import type { RequestHash, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { encodePriceList } from '../domain/price-list-json.ts';
import { encodeReceipt } from '../domain/receipt.ts';
import type { Transaction, UsageRecord } from '../domain/transaction.ts';
import { inputTokens, outputTokens } from '../domain/usage.ts';
import { encodeCheckpoint } from './checkpoint-json.ts';
import type { Driver } from './drivers/driver.ts';
import type { BatchWriter } from './group-commit.ts';
import type {
  AlreadyCommitted,
  AlreadyVoided,
  Checkpoint,
  Checkpointed,
  Commit,
  Committed,
  Conflict,
  Created,
  Deduction,
  Duplicate,
  NotOpen,
  PendingDraft,
  PostedNow,
  TopUp,
  UnknownTenant,
  UnknownTransaction,
  Void,
  Voided,
} from './ledger.ts';
import {
  type ApiKeyQuotaJson,
  amountParameter,
  decodeProjection,
  decodeTransaction,
  priceParameter,
  type QuotaRow,
  type TransactionRow,
} from './rows.ts';
import type { Statements } from './sql/statements.ts';

/** What identifies a transaction for its writer. */
interface Traced {
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
}

interface Access {
  readonly driver: Driver;
  readonly statements: Statements;
}

const tenantOf = (item: Traced) => item.tenantId;
const identityOf = (item: Traced) => item.traceId;
const keyOf = (item: Traced) => `${item.tenantId}\n${item.traceId}`;

/** Parameters of a statement over `unnest`: one array per column, one element per item. */
function columns<Item>(items: readonly Item[], ...reads: readonly ((item: Item) => unknown)[]): unknown[] {
  return reads.map((read) => items.map(read));
}

/** The transactions of these trace ids, as far as they exist, by tenant and trace id. */
export async function findByTraces(
  { driver, statements }: Access,
  items: readonly Traced[],
): Promise<ReadonlyMap<string, Transaction>> {
  if (items.length === 0) return new Map();
  const rows = await driver.query<TransactionRow>(
    statements.findByTrace,
    columns<Traced>(items, tenantOf, identityOf),
  );
  return new Map(rows.map(decodeTransaction).map((transaction) => [keyOf(transaction), transaction]));
}

/** A trace id that was here before: the same request again, or another one under its name. */
export function repeated(
  existing: Transaction | undefined,
  requestHash: RequestHash,
): Duplicate | Conflict | UnknownTenant {
  if (existing === undefined) return { kind: 'unknown_tenant' };
  return { kind: existing.requestHash === requestHash ? 'duplicate' : 'conflict', transaction: existing };
}

export function pendingWriter(
  access: Access,
): BatchWriter<PendingDraft, Created | Duplicate | Conflict | UnknownTenant> {
  return {
    tenantOf,
    identityOf,
    refusedWhenFull: true,
    write: async (drafts) => {
      const rows = await access.driver.query<{ id: string }>(
        access.statements.createPending,
        columns<PendingDraft>(
          drafts,
          (draft) => draft.tenantId,
          (draft) => draft.id,
          (draft) => draft.apiKeyId,
          (draft) => draft.traceId,
          (draft) => draft.requestHash,
          (draft) => amountParameter(draft.holdAmount),
          (draft) => draft.currency,
          (draft) => draft.provider,
          (draft) => draft.model,
          (draft) => JSON.stringify(encodePriceList(draft.rates)),
          (draft) => priceParameter(draft.inputPrice),
          (draft) => priceParameter(draft.outputPrice),
          (draft) => draft.periodDay,
          (draft) => draft.ttlMs,
          (draft) => draft.owner,
          (draft) => draft.multiplierPpm.toString(),
          (draft) => draft.holdTokens,
        ),
      );
      const created = new Set<string>(rows.map((row) => row.id));
      const existing = await findByTraces(
        access,
        drafts.filter((draft) => !created.has(draft.id)),
      );
      return drafts.map((draft) => {
        const found = existing.get(keyOf(draft));
        // Our own row from an attempt whose answer was lost is the row we meant to write.
        const own = found?.status === 'PENDING' && found.id === draft.id;
        return created.has(draft.id) || own ? { kind: 'created' } : repeated(found, draft.requestHash);
      });
    },
  };
}

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

interface CommittedRow extends QuotaRow {
  readonly id: string;
  readonly amount: string;
  readonly seq: string;
  readonly balance_after: string;
  readonly api_key_quotas: readonly ApiKeyQuotaJson[] | null;
}

function decodeCommitted(row: CommittedRow): Committed {
  return {
    kind: 'committed',
    transactionId: row.id as Committed['transactionId'],
    amount: parseAmount(row.amount),
    balanceAfter: parseAmount(row.balance_after),
    seq: Number(row.seq),
    projection: decodeProjection(row, row.api_key_quotas),
  };
}

export function commitWriter(access: Access): BatchWriter<Commit, Committed | ClosedBefore> {
  return {
    tenantOf,
    identityOf,
    refusedWhenFull: false,
    write: async (commits) => {
      const rows = await access.driver.query<CommittedRow>(
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
      const before = await findByTraces(
        access,
        commits.filter((commit) => !closed.has(commit.transactionId)),
      );
      return commits.map((commit) => {
        const row = closed.get(commit.transactionId);
        if (row !== undefined) return decodeCommitted(row);
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
      const rows = await access.driver.query<{ id: string }>(
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
      const rows = await access.driver.query<{ id: string }>(
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

/** What a deduction and a top-up have in common, with the rest left empty. */
export interface Posting extends Omit<Deduction, 'periodDay'> {
  readonly type: 'CHARGE' | TopUp['type'];
  /** Null for what is no request. */
  readonly periodDay: string | null;
}

/** A transaction's row, with its tenant's and the quotas of its API key that counted it. */
export type PostedRow = TransactionRow &
  QuotaRow & { readonly api_key_quotas: readonly ApiKeyQuotaJson[] | null };

export function decodePosted(row: PostedRow): PostedNow {
  const transaction = decodeTransaction(row);
  if (transaction.status !== 'COMMITTED')
    throw new Error(`transaction ${row.id} was posted, yet is ${row.status}`);
  return {
    kind: 'posted',
    transactionId: transaction.id,
    amount: transaction.amount,
    balanceAfter: transaction.balanceAfter,
    seq: transaction.seq,
    projection: decodeProjection(row, row.api_key_quotas),
    transaction,
  };
}

export function postWriter(
  access: Access,
): BatchWriter<Posting, PostedNow | Duplicate | Conflict | UnknownTenant> {
  return {
    tenantOf,
    identityOf,
    refusedWhenFull: true,
    write: async (postings) => {
      const rows = await access.driver.query<PostedRow>(
        access.statements.post,
        columns<Posting>(
          postings,
          (posting) => posting.tenantId,
          (posting) => posting.id,
          (posting) => posting.apiKeyId,
          (posting) => posting.traceId,
          (posting) => posting.type,
          (posting) => amountParameter(posting.amount),
          (posting) => posting.metered && JSON.stringify(posting.metered.usage),
          (posting) => posting.metered?.method ?? null,
          (posting) => posting.metered && inputTokens(posting.metered.usage),
          (posting) => posting.metered && outputTokens(posting.metered.usage),
          (posting) => posting.model,
          (posting) => posting.requestHash,
          (posting) => posting.periodDay,
          (posting) => posting.description,
        ),
      );
      const posted = new Map<string, PostedRow>(rows.map((row) => [row.id, row]));
      const existing = await findByTraces(
        access,
        postings.filter((posting) => !posted.has(posting.id)),
      );
      return postings.map((posting) => {
        const row = posted.get(posting.id);
        return row === undefined
          ? repeated(existing.get(keyOf(posting)), posting.requestHash)
          : decodePosted(row);
      });
    },
  };
}
