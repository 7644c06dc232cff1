import type { RequestHash, TenantId, TraceId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { encodePriceList } from '../domain/price-list-json.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import type { CommittedTransaction, Transaction } from '../domain/transaction.ts';
import { inputTokens, outputTokens } from '../domain/usage.ts';
import type { Driver } from './drivers/driver.ts';
import type { BatchWriter } from './lane.ts';
import type {
  Conflict,
  Created,
  Deduction,
  Duplicate,
  PendingDraft,
  PostedNow,
  TopUp,
  UnknownTenant,
} from './ledger.ts';
import {
  amountParameter,
  type BatchRow,
  decodeTransaction,
  priceParameter,
  projectionsOf,
  type TransactionRow,
} from './rows.ts';
import type { Statements } from './sql/statements.ts';

/** What identifies a transaction for its writer. */
export interface Traced {
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
}

export interface Access {
  readonly driver: Driver;
  readonly statements: Statements;
}

export const tenantOf = (item: Traced) => item.tenantId;
export const identityOf = (item: Traced) => item.traceId;
export const keyOf = (item: Traced) => `${item.tenantId}\n${item.traceId}`;

/** Parameters of a statement over `unnest`: one array per column, one element per item. */
export function columns<Item>(
  items: readonly Item[],
  ...reads: readonly ((item: Item) => unknown)[]
): unknown[] {
  return reads.map((read) => items.map(read));
}

/** The transactions of these trace ids, as far as they exist, by tenant and trace id. */
export async function findByTraces(
  { driver, statements }: Access,
  items: readonly Traced[],
): Promise<ReadonlyMap<string, Transaction>> {
  if (items.length === 0) return new Map();
  const rows = await driver.queryByKeys<TransactionRow>(
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
      const rows = await access.driver.queryByKeys<{ id: string }>(
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

/** What a deduction and a top-up have in common, with the rest left empty. */
export interface Posting extends Omit<Deduction, 'periodDay'> {
  readonly type: 'CHARGE' | TopUp['type'];
  /** Null for what is no request. */
  readonly periodDay: string | null;
}

/** What the ledger adds to a posting, as a driver returns it. */
type PostedRow = BatchRow & {
  readonly id: string;
  readonly currency: string;
  readonly seq: string;
  readonly balance_before: string;
  readonly balance_after: string;
  readonly created_at: Date;
  readonly updated_at: Date;
};

function transactionOf(posting: Posting, row: PostedRow): CommittedTransaction {
  const { metered } = posting;
  return {
    id: posting.id,
    tenantId: posting.tenantId,
    apiKeyId: posting.apiKeyId,
    traceId: posting.traceId,
    type: posting.type,
    status: 'COMMITTED',
    amount: posting.amount,
    currency: row.currency,
    requestHash: posting.requestHash,
    holdAmount: null,
    provider: null,
    model: posting.model,
    rates: null,
    multiplierPpm: null,
    inputPrice: null,
    outputPrice: null,
    periodDay: posting.periodDay,
    owner: null,
    expiresAt: null,
    description: posting.description,
    usage: metered?.usage ?? null,
    usageMethod: metered?.method ?? null,
    inputTokens: metered && inputTokens(metered.usage),
    outputTokens: metered && outputTokens(metered.usage),
    costAmount: null,
    receipt: null,
    seq: Number(row.seq),
    balanceBefore: parseAmount(row.balance_before),
    balanceAfter: parseAmount(row.balance_after),
    reversedBy: null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function postedNow(transaction: CommittedTransaction, projection: QuotaProjection): PostedNow {
  const { id: transactionId, amount, balanceAfter, seq } = transaction;
  return { kind: 'posted', transactionId, amount, balanceAfter, seq, projection, transaction };
}

export function postWriter(
  access: Access,
): BatchWriter<Posting, PostedNow | Duplicate | Conflict | UnknownTenant> {
  return {
    tenantOf,
    identityOf,
    refusedWhenFull: true,
    write: async (postings) => {
      const rows = await access.driver.queryByKeys<PostedRow>(
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
      const projectionOf = projectionsOf(rows);
      const existing = await findByTraces(
        access,
        postings.filter((posting) => !posted.has(posting.id)),
      );
      return postings.map((posting) => {
        const row = posted.get(posting.id);
        return row === undefined
          ? repeated(existing.get(keyOf(posting)), posting.requestHash)
          : postedNow(transactionOf(posting, row), projectionOf(row));
      });
    },
  };
}
