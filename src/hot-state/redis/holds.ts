import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { HoldState, HoldSums, HoldsOfTenant, StandingHold } from '../hot-state.ts';
import { readFields, readState, unexpected } from './replies.ts';

const states: readonly HoldState[] = ['checked', 'loaded', 'confirmed'];

/** The answer of `quota_holds`. */
export function readHolds(reply: unknown, tenantId: TenantId): HoldsOfTenant | undefined {
  if (!Array.isArray(reply)) throw unexpected(reply);
  const state = readState(reply, tenantId);
  if (state === undefined) return undefined;
  const { projection, held } = state;
  const holds = [...readFields(reply[1])].map(([traceId, text]) => readHold(tenantId, traceId, text));
  return { projection, holds, sums: { held, ...readOpen(readFields(reply[0])) } };
}

/** As keys.ts describes it. */
function readHold(tenantId: TenantId, traceId: string, text: string): StandingHold {
  const fields = /^(-?\d+) (\S+) (\S+) \S+ (\d+) \S+ \S+ (\S+) (.*)$/.exec(text);
  if (fields === null) throw unexpected(text);
  const [, amount = '', periodDay = '', said, tokens, apiKeyId, holder] = fields;
  const state = states.find((known) => known === said);
  if (state === undefined) throw unexpected(text);
  return {
    tenantId,
    traceId: traceId as TraceId,
    holder: holder as TransactionId,
    apiKeyId: apiKeyId as ApiKeyId,
    amount: nano(BigInt(amount)),
    tokens: Number(tokens),
    periodDay,
    state,
  };
}

const openOf = 'open:';

function readOpen(fields: ReadonlyMap<string, string>): Omit<HoldSums, 'held'> {
  const ofApiKeys = [...fields]
    .filter(([name]) => name.startsWith(openOf))
    .flatMap(([name, text]) =>
      readDays(text).map((day) => ({ apiKeyId: name.slice(openOf.length) as ApiKeyId, ...day })),
    );
  const openByDay = readDays(fields.get('open') ?? '').map(({ periodDay, requests }) => ({
    periodDay,
    requests,
  }));
  return { openByDay, ofApiKeys };
}

function readDays(text: string) {
  return [...text.matchAll(/(\S+) (\d+) (\d+) (-?\d+);/g)].map(
    ([, periodDay = '', requests = '', tokens = '', amount = '']) => ({
      periodDay,
      requests: BigInt(requests),
      tokens: BigInt(tokens),
      amount: nano(BigInt(amount)),
    }),
  );
}
