import type { z } from 'zod';
import { refusal } from '../domain/errors.ts';
import { hashRequest, type TenantId, type TraceId, type TransactionId } from '../domain/ids.ts';
import { type Transaction, transactionStatuses, transactionTypes } from '../domain/transaction.ts';
import type { TransactionFilter } from '../ledger/ledger.ts';
import {
  type AdminAnswer,
  type AdminCall,
  type AdminDependencies,
  adminCall,
  created,
  type Json,
  ok,
} from './admin-call.ts';
import { page, pageSize, uuidCursor } from './pages.ts';
import { completePosting } from './posting.ts';
import { receiptJson } from './receipts.ts';
import { idempotencyConflict, unknownTransaction } from './refusals.ts';
import { dayOrMoment, id, members, oneOf, text, traceId, transactionId } from './validation.ts';
import { transactionJson } from './wire.ts';

const params = members({ id: transactionId });

const filter = members({
  tenant_id: id.optional(),
  status: oneOf(transactionStatuses).optional(),
  type: oneOf(transactionTypes).optional(),
  trace_id: traceId.optional(),
  from: dayOrMoment.optional(),
  to: dayOrMoment.optional(),
  limit: pageSize,
  cursor: uuidCursor.optional(),
});

const newReversal = members({ description: text(1000) });

export function transactionCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  const { ledger } = dependencies;
  return [
    adminCall({
      method: 'GET',
      path: '/transactions',
      query: filter,
      handle: async ({ query }) =>
        page(await ledger.list(filterOf(query)), query.limit, {
          json: transactionJson,
          cursor: (transaction) => transaction.id,
        }),
    }),
    adminCall({
      method: 'GET',
      path: '/transactions/{id}',
      params,
      handle: async ({ params }) => {
        const transaction = await ledger.findById(params.id as TransactionId);
        return transaction === undefined ? unknownTransaction(params.id) : ok(explained(transaction));
      },
    }),
    adminCall({
      method: 'POST',
      path: '/transactions/{id}/reverse',
      params,
      body: newReversal,
      handle: async ({ params, body, idempotencyKey, actor }) => {
        const original = await ledger.findById(params.id as TransactionId);
        if (original === undefined) return unknownTransaction(params.id);
        const traceId = (idempotencyKey ?? dependencies.newId()) as TraceId;
        return await reverse(dependencies, { original, traceId, description: body.description, actor });
      },
    }),
  ];
}

/** A transaction with the sum that its amount came from. */
function explained(transaction: Transaction): Json {
  const receipt = transaction.status === 'COMMITTED' ? receiptJson(transaction) : null;
  return { ...transactionJson(transaction), receipt };
}

/** One more than the page holds. */
function filterOf(query: z.output<typeof filter>): TransactionFilter {
  const { tenant_id, status, type, trace_id, from, to, cursor, limit } = query;
  return {
    ...(tenant_id === undefined ? {} : { tenantId: tenant_id as TenantId }),
    ...(status === undefined ? {} : { status }),
    ...(type === undefined ? {} : { type }),
    ...(trace_id === undefined ? {} : { traceId: trace_id as TraceId }),
    ...(from === undefined ? {} : { fromMs: from }),
    ...(to === undefined ? {} : { toMs: to }),
    ...(cursor === undefined ? {} : { before: cursor as TransactionId }),
    limit: limit + 1,
  };
}

interface ReversalRequest {
  readonly original: Transaction;
  readonly traceId: TraceId;
  readonly description: string;
  readonly actor: string;
}

async function reverse(
  dependencies: AdminDependencies,
  { original, traceId, description, actor }: ReversalRequest,
): Promise<AdminAnswer> {
  const requestHash = hashRequest('reverse', original.id, description);
  const answer = await dependencies.ledger.reverse({
    transactionId: original.id,
    tenantId: original.tenantId,
    id: dependencies.newId() as TransactionId,
    traceId,
    requestHash,
    description,
  });
  const complete = async (posting: Parameters<typeof completePosting>[1]) => {
    const refund = await completePosting(dependencies, posting, (transaction) => ({
      actor,
      action: 'transaction.reverse',
      subject: original.id,
      detail: { tenant_id: original.tenantId, refund: transaction.id, description },
    }));
    return created(transactionJson(refund));
  };
  switch (answer.kind) {
    case 'posted':
    case 'duplicate':
      return await complete(answer);
    case 'already_reversed':
      // The same request under another trace id, as it comes from a client that sends no key.
      if (answer.transaction.requestHash === requestHash) {
        return await complete({ kind: 'duplicate', transaction: answer.transaction });
      }
      return refusal(
        'ALREADY_EXISTS',
        `Transaction ${original.id} was reversed before, by ${answer.transaction.id}. Nothing was changed.`,
      );
    case 'conflict':
      return idempotencyConflict(answer.transaction);
    case 'not_reversible':
      return refusal('REQUEST_INVALID', notReversible(answer.transaction), { param: 'id' });
    case 'unknown_transaction':
      return unknownTransaction(original.id);
  }
}

function notReversible({ id: transactionId, status, type }: Transaction): string {
  const because = type === 'REFUND' ? 'a REFUND is not undone, post an ADJUSTMENT' : `it is ${status}`;
  return `Transaction ${transactionId} can't be reversed: ${because}. Only COMMITTED ones that are no REFUND can be.`;
}
