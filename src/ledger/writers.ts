import type { RequestHash, TenantId, TraceId } from '../domain/ids.ts';
import { encodePriceList } from '../domain/price-list-json.ts';
import type { Transaction } from '../domain/transaction.ts';
import { inputTokens, outputTokens } from '../domain/usage.ts';
import type { Driver } from './drivers/driver.ts';
import type { BatchWriter } from './group-commit.ts';
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
