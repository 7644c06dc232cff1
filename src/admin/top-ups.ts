import { type Refusal, refusal } from '../domain/errors.ts';
import { hashRequest, type TenantId, type TraceId, type TransactionId } from '../domain/ids.ts';
import { formatAmount, MoneyFormatError, type NanoUsd, nano, parseAmount } from '../domain/money.ts';
import type { Transaction } from '../domain/transaction.ts';
import type { TopUp } from '../ledger/ledger.ts';
import { type AdminCall, type AdminDependencies, adminCall, created } from './admin-call.ts';
import { completePosting } from './posting.ts';
import { idempotencyConflict, isRefusal, unknownTenant } from './refusals.ts';
import { amount, id, members, oneOf, text } from './validation.ts';
import { transactionJson } from './wire.ts';

const newTopUp = members({
  amount,
  type: oneOf(['TOPUP', 'ADJUSTMENT']).default('TOPUP'),
  description: text(1000).nullish(),
}).superRefine((topUp, context) => {
  const message =
    topUp.type === 'TOPUP' && topUp.amount <= 0n
      ? 'must be more than zero; to take money away send "type": "ADJUSTMENT"'
      : topUp.amount === 0n && 'must not be zero';
  if (message !== false) context.addIssue({ code: 'custom', path: ['amount'], message });
});

export function topUpCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  return [
    adminCall({
      method: 'POST',
      path: '/tenants/{id}/top-ups',
      params: members({ id }),
      body: newTopUp,
      handle: async ({ params, body, idempotencyKey, actor }) => {
        const transaction = await credit(dependencies, {
          tenantId: params.id as TenantId,
          traceId: (idempotencyKey ?? dependencies.newId()) as TraceId,
          type: body.type,
          amount: body.amount,
          description: body.description ?? null,
          actor,
        });
        return isRefusal(transaction) ? transaction : created(transactionJson(transaction));
      },
    }),
  ];
}

export interface Credit extends Omit<TopUp, 'id' | 'requestHash'> {
  readonly actor: string;
}

/** Posts it once for its trace id, with hot state and the audit log following. */
export async function credit(
  dependencies: AdminDependencies,
  { actor, ...order }: Credit,
): Promise<Transaction | Refusal> {
  const overflow = await refuseOverflow(dependencies, order);
  if (overflow !== null) return overflow;
  const { tenantId, type, amount, description } = order;
  const said = description === null ? [] : [description];
  const answer = await dependencies.ledger.credit({
    ...order,
    id: dependencies.newId() as TransactionId,
    requestHash: hashRequest(tenantId, type, formatAmount(amount), ...said),
  });
  switch (answer.kind) {
    case 'unknown_tenant':
      return unknownTenant(tenantId);
    case 'conflict':
      return idempotencyConflict(answer.transaction);
    case 'posted':
    case 'duplicate':
      return await completePosting(dependencies, answer, (transaction) => ({
        actor,
        action: 'tenant.top_up',
        subject: transaction.id,
        detail: { tenant_id: tenantId, type, amount: formatAmount(amount), description },
      }));
  }
}

/** A balance that the ledger's column can't hold is refused; a repeat of what was posted is not. */
async function refuseOverflow(
  { ledger }: AdminDependencies,
  { tenantId, traceId, amount }: Pick<TopUp, 'tenantId' | 'traceId' | 'amount'>,
): Promise<Refusal | null> {
  const snapshot = await ledger.snapshot(tenantId);
  if (snapshot.kind === 'unknown_tenant') return unknownTenant(tenantId);
  const { balance } = snapshot.projection;
  if (isAmount(nano(balance + amount))) return null;
  if ((await ledger.findByTrace(tenantId, traceId)) !== undefined) return null;
  return refusal(
    'REQUEST_INVALID',
    `\`amount\` would take the balance of ${formatAmount(balance)} beyond what the ledger can hold. Nothing was changed.`,
    { param: 'amount' },
  );
}

function isAmount(value: NanoUsd): boolean {
  try {
    parseAmount(formatAmount(value));
    return true;
  } catch (error) {
    if (error instanceof MoneyFormatError) return false;
    throw error;
  }
}
