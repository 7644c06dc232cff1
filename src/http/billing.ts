import type { Json } from '../admin/admin-call.ts';
import { transactionJson } from '../admin/wire.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { TraceId } from '../domain/ids.ts';
import { type AuthenticateOptions, authenticate } from '../gateway/authenticate.ts';
import type { Caller } from '../gateway/request.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface BillingOptions extends AuthenticateOptions {
  readonly ledger: Pick<Ledger, 'findByTrace'>;
}

export interface BilledTransaction {
  readonly kind: 'transaction';
  readonly body: Json;
}

/** Trace ids of ours, of clients and of admins. The ledger's engine takes no others. */
const possible = /^[\x20-\x7e]{1,255}$/;

/** What is between the operator and the providers, or between our own processes, is not the tenant's. */
const operatorsOwn: ReadonlySet<string> = new Set(['cost_amount', 'owner', 'checkpoint']);

/**
 * What became of a request, for a client that lost its connection before it knew. Another tenant's trace id
 * and one that nobody used are answered alike.
 * @throws Fault LEDGER_UNAVAILABLE: only the ledger knows
 */
export async function findBilled(
  caller: Caller,
  traceId: string,
  options: BillingOptions,
): Promise<BilledTransaction | Refusal> {
  const known = await authenticate(caller, options);
  if (known.kind === 'refused') return known;
  const { tenantId } = known.apiKey;
  const transaction = possible.test(traceId)
    ? await options.ledger.findByTrace(tenantId, traceId as TraceId)
    : undefined;
  if (transaction === undefined) {
    return refusal('NOT_FOUND', 'No request with this trace id was begun for the tenant of this API key.');
  }
  const columns = Object.entries(transactionJson(transaction)).filter(([name]) => !operatorsOwn.has(name));
  return { kind: 'transaction', body: Object.fromEntries(columns) };
}
