import { type Refusal, refusal } from '../domain/errors.ts';
import type { IdSource, RequestHash, TraceId } from '../domain/ids.ts';
import type { Transaction } from '../domain/transaction.ts';
import type { RequestHeaders } from './request.ts';

export interface Trace {
  readonly kind: 'trace';
  readonly traceId: TraceId;
  /** Whether the client chose it, by `Idempotency-Key`: it may then have been here before. */
  readonly fromClient: boolean;
}

const acceptable = /^[\x21-\x7e]{1,255}$/;

export function traceOf(headers: RequestHeaders, newId: IdSource): Trace | Refusal {
  const idempotencyKey = headers['idempotency-key'];
  if (idempotencyKey === undefined) return { kind: 'trace', traceId: newId() as TraceId, fromClient: false };
  if (typeof idempotencyKey === 'string' && acceptable.test(idempotencyKey)) {
    return { kind: 'trace', traceId: idempotencyKey as TraceId, fromClient: true };
  }
  return refusal(
    'REQUEST_INVALID',
    'The Idempotency-Key header has to be 1 to 255 visible ASCII characters without spaces, sent once.',
    { param: 'Idempotency-Key' },
  );
}

/** The same trace id with the same request: it runs, or ran, once. */
export function repeatRefusal(transaction: Transaction): Refusal {
  switch (transaction.status) {
    case 'PENDING':
      return refusal(
        'REQUEST_IN_PROGRESS',
        `The request with this Idempotency-Key is still running, as transaction ${transaction.id}.`,
      );
    case 'COMMITTED':
      return refusal(
        'REQUEST_ALREADY_BILLED',
        `The request with this Idempotency-Key was billed as transaction ${transaction.id}. It was not run again.`,
      );
    case 'VOIDED':
      return refusal(
        'REQUEST_ALREADY_BILLED',
        `The request with this Idempotency-Key ended as transaction ${transaction.id} and was not charged. ` +
          'Send a new key to try again.',
      );
  }
}

/** The same trace id with another request. */
export function conflictRefusal(transaction: Transaction): Refusal {
  return refusal(
    'IDEMPOTENCY_CONFLICT',
    `This Idempotency-Key belongs to another request, transaction ${transaction.id}. Nothing was run or ` +
      'charged: send the same body again, or a new key.',
  );
}

/** What to say of a request whose trace id is not free; undefined: its first request is just being opened. */
export function takenRefusal(transaction: Transaction | undefined, requestHash: RequestHash): Refusal {
  if (transaction === undefined) {
    return refusal('REQUEST_IN_PROGRESS', 'A request with this Idempotency-Key is just being opened.');
  }
  return transaction.requestHash === requestHash ? repeatRefusal(transaction) : conflictRefusal(transaction);
}
