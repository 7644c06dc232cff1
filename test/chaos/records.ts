// What is written down during a run. All times are milliseconds since the epoch, of the one clock of this machine.

/** Bytes as they arrived together. */
export interface Piece {
  readonly atMs: number;
  readonly text: string;
}

/**
 * How an answer ended for the client: `complete`, with its closing event or all of its body; `told_error`, status 200
 * and then an error; `cut`, without a word; `left`, the client hung up, as it meant to; `gave_up`,
 * it had waited long enough; `unreached`, nobody listened; `refused`, another status than 200.
 */
export type End = 'complete' | 'told_error' | 'cut' | 'left' | 'gave_up' | 'unreached' | 'refused';

/** One exchange over HTTP, as the client saw it. */
export interface Attempt {
  readonly gateway: number;
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  readonly end: End;
  /** Null where no head arrived. */
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly Piece[];
  /** Of our errors, in a body or in an event. */
  readonly code: string | null;
  /** Sent with another body than the first of its key: nothing may come of it. */
  readonly isOtherBody: boolean;
}

/** What a client was told when it asked what became of its request. */
export interface Inquiry {
  readonly atMs: number;
  readonly gateway: number;
  readonly status: string;
  readonly amount: bigint | null;
}

/** A request as its client means it: once, however often it is sent. */
export interface Asked {
  /** In the request's body, which goes to the provider as it is: it names this request in every log. */
  readonly mark: string;
  readonly tenantId: string;
  readonly kind: string;
  readonly isStream: boolean;
  readonly idempotencyKey: string | null;
  /** As the ledger has it: SHA-256, in hex. */
  readonly requestHash: string;
  readonly attempts: Attempt[];
  readonly inquiries: Inquiry[];
}

export interface ToppedUp {
  readonly key: string;
  readonly tenantId: string;
  readonly amount: bigint;
  readonly tries: number;
  /** The id that it was acknowledged with; null: never acknowledged. */
  readonly transactionId: string | null;
}

export const faultKinds = [
  'kill_gateway',
  'kill_redis',
  'kill_postgres',
  'stop_gateway',
  'stop_redis',
  'stop_postgres',
  'flush_redis',
  'cut_redis',
  'cut_postgres',
  'lose_reply_of_redis',
  'lose_reply_of_postgres',
  'silence_redis',
  'silence_postgres',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** A fault as it was done. */
export interface Fault {
  readonly kind: FaultKind;
  /** Whose process, or whose connections; null where it is all gateways'. */
  readonly gateway: number | null;
  readonly fromMs: number;
  /** When it was over, as far as this process could make it so; null: it isn't yet. */
  toMs: number | null;
}

/** What the provider did for one request, by its own log. */
export interface Upstream {
  readonly outcome: string;
  readonly tokensSent: number;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
}

/** A row of `billing_transaction` with its `usage_record`. */
export interface Row {
  readonly id: string;
  readonly tenantId: string;
  readonly traceId: string;
  readonly requestHash: string;
  readonly type: string;
  readonly status: 'PENDING' | 'COMMITTED' | 'VOIDED';
  readonly amount: bigint | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly usageMethod: string | null;
  readonly seq: number | null;
  readonly balanceBefore: bigint | null;
  readonly balanceAfter: bigint | null;
  readonly owner: string | null;
  readonly description: string | null;
  readonly outcome: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type FindingKind = 'lost' | 'double' | 'unexplained';

/** Something that must not be. */
export interface Finding {
  readonly kind: FindingKind;
  readonly what: string;
  readonly tenantId: string;
  readonly asked: Asked | null;
  readonly row: Row | null;
}
