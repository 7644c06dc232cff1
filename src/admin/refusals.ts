import { type Refusal, refusal } from '../domain/errors.ts';
import type { Transaction } from '../domain/transaction.ts';

export function isRefusal<T extends object>(answer: T | Refusal): answer is Refusal {
  return 'kind' in answer && answer.kind === 'refused';
}

export function unknownTenant(id: string): Refusal {
  return refusal('NOT_FOUND', `There is no tenant "${id}".`);
}

export function unknownApiKey(tenantId: string, id: string): Refusal {
  return refusal('NOT_FOUND', `Tenant "${tenantId}" has no API key "${id}".`);
}

export function unknownWebhook(id: string): Refusal {
  return refusal('NOT_FOUND', `There is no webhook "${id}".`);
}

export function unknownTransaction(id: string): Refusal {
  return refusal('NOT_FOUND', `There is no transaction "${id}".`);
}

/** The trace id names another request's transaction. */
export function idempotencyConflict({ traceId, id }: Transaction): Refusal {
  return refusal(
    'IDEMPOTENCY_CONFLICT',
    `The Idempotency-Key "${traceId}" was used for another request, which made transaction ${id}. Nothing was changed; send this one with a key of its own.`,
    { param: 'Idempotency-Key' },
  );
}
