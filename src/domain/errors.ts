/** Who can do something about it. */
export type Blame = 'client' | 'tenant' | 'upstream' | 'gateway';

interface CodeFacts {
  readonly blame: Blame;
  /** Whether the same request may succeed later without anyone changing anything. */
  readonly retryable: boolean;
}

/** The catalogue of codes. Statuses and wire shapes belong to `http/` and the dialects. */
export const codes = {
  API_KEY_INVALID: { blame: 'client', retryable: false },
  API_KEY_FORBIDDEN: { blame: 'client', retryable: false },
  QUOTA_BALANCE_EXCEEDED: { blame: 'tenant', retryable: false },
  QUOTA_DAILY_EXCEEDED: { blame: 'tenant', retryable: true },
  QUOTA_MONTHLY_EXCEEDED: { blame: 'tenant', retryable: true },
  API_KEY_QUOTA_EXCEEDED: { blame: 'tenant', retryable: true },
  RATE_LIMIT_RPM_EXCEEDED: { blame: 'tenant', retryable: true },
  RATE_LIMIT_TPM_EXCEEDED: { blame: 'tenant', retryable: true },
  CONCURRENCY_LIMIT_EXCEEDED: { blame: 'tenant', retryable: true },
  IDEMPOTENCY_CONFLICT: { blame: 'client', retryable: false },
  REQUEST_IN_PROGRESS: { blame: 'client', retryable: false },
  REQUEST_ALREADY_BILLED: { blame: 'client', retryable: false },
  REQUEST_INVALID: { blame: 'client', retryable: false },
  REQUEST_TOO_LARGE: { blame: 'client', retryable: false },
  REQUEST_TOO_SLOW: { blame: 'client', retryable: true },
  MODEL_NOT_FOUND: { blame: 'client', retryable: false },
  MODEL_NOT_PRICED: { blame: 'gateway', retryable: false },
  NOT_FOUND: { blame: 'client', retryable: false },
  ALREADY_EXISTS: { blame: 'client', retryable: false },
  UPSTREAM_UNAVAILABLE: { blame: 'upstream', retryable: true },
  UPSTREAM_TIMEOUT: { blame: 'upstream', retryable: true },
  LEDGER_UNAVAILABLE: { blame: 'gateway', retryable: true },
  HOT_STATE_UNAVAILABLE: { blame: 'gateway', retryable: true },
  OVERLOADED: { blame: 'gateway', retryable: true },
  INTERNAL: { blame: 'gateway', retryable: true },
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof codes;

/** An answer that is not the one asked for: expected, returned rather than thrown, fit for the client's eyes. */
export interface Refusal {
  readonly kind: 'refused';
  readonly code: ErrorCode;
  /** What happened, what was kept, and what to do. Never a secret, never another tenant's data. */
  readonly message: string;
  /** The request member at fault, where there is one. */
  readonly param?: string;
  /** Seconds until the same request may pass, where that is known. */
  readonly retryAfterSeconds?: number;
  /** Set where the same request never passes, although another refusal of this code may pass later. */
  readonly isHopeless?: true;
}

export function refusal(
  code: ErrorCode,
  message: string,
  details: Pick<Refusal, 'param' | 'retryAfterSeconds' | 'isHopeless'> = {},
): Refusal {
  return { kind: 'refused', code, message, ...details };
}

/** Something that should not have happened: thrown, logged with its cause, answered by its public message. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, publicMessage: string, options?: ErrorOptions) {
    super(publicMessage, options);
    this.code = code;
  }
}

/** What the client is told of something thrown: a Fault's own words, or INTERNAL with `otherwise`. */
export function refusalOf(error: unknown, otherwise: string): Refusal {
  return error instanceof Fault ? refusal(error.code, error.message) : refusal('INTERNAL', otherwise);
}

/** For the `default` of an exhaustive switch: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new Fault('INTERNAL', `Unexpected variant ${JSON.stringify(value)}`);
}
