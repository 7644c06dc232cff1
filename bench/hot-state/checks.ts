import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../src/domain/ids.ts';
import { nano } from '../../src/domain/money.ts';
import type { HotState, QuotaCheck } from '../../src/hot-state/hot-state.ts';
import { below, type Random } from '../../src/simulator/random.ts';
import { loadTenant, quotaProjection } from '../../test/support/hot-state.ts';

/** Callers that ask at the same time. */
export const atOnce = 64;
const loadedAtOnce = 1_000;
const checksOfARound = 20_000;

export const tenantAt = (index: number) => `tenant-${index}` as TenantId;

let names = 0;

/** A request of an API key that has limits of its own, of a tenant with every limit; none of them stands in the way. */
export function request(tenantId: TenantId): QuotaCheck {
  const name = `01890a5d-ac96-774b-bcce-${String(names++).padStart(12, '0')}`;
  return {
    tenantId,
    apiKeyId: `key-of-${tenantId}` as ApiKeyId,
    traceId: name as TraceId,
    holder: name as TransactionId,
    holdAmount: nano(1_500_000n),
    tokens: 1_000,
    limits: {
      maxOpenRequests: 1_000_000,
      apiKey: { rpmLimit: 100_000_000, tpmLimit: 1_000_000_000_000, maxOpenRequests: 1_000_000 },
    },
    observe: false,
  };
}

const limits = {
  balance: nano(100_000_000_000n),
  dailyQuota: 1_000_000_000,
  monthlyQuota: 30_000_000_000,
  rpmLimit: 100_000_000,
  tpmLimit: 1_000_000_000_000,
};

/** So many at a time. */
export async function forEach<Item>(
  all: readonly Item[],
  atATime: number,
  act: (item: Item) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < all.length; from += atATime)
    await Promise.all(all.slice(from, from + atATime).map(act));
}

export async function loadTenants(hotState: HotState, tenants: number): Promise<void> {
  const all = Array.from({ length: tenants }, (_, index) => tenantAt(index));
  await forEach(all, loadedAtOnce, (tenantId) =>
    loadTenant(hotState, { projection: quotaProjection({ ...limits, tenantId }) }),
  );
}

export interface Asked {
  readonly hotState: HotState;
  readonly tenants: number;
}

/** Checks for tenants at random; what they hold is given back afterwards, which isn't measured. */
export async function checksPerSecond(
  { hotState, tenants }: Asked,
  random: Random,
  /** Right before the first check, and right behind the last. */
  around: { readonly before?: () => Promise<void>; readonly after?: () => Promise<void> } = {},
): Promise<number> {
  const all = Array.from({ length: checksOfARound }, () => request(tenantAt(below(random, tenants))));
  // Each tenant's period is learned the first time that this process asks.
  await forEach(all, atOnce, async (one) => await hotState.check(one));
  await forEach(all, atOnce, (one) => hotState.release(one));
  const checks = all.map(({ tenantId }) => request(tenantId));
  await around.before?.();
  const startedAtMs = performance.now();
  await forEach(checks, atOnce, async (check) => {
    const { kind } = await hotState.check(check);
    if (kind !== 'admitted') throw new Error(`a check was answered ${kind}`);
  });
  const perSecond = (checks.length * 1_000) / (performance.now() - startedAtMs);
  await around.after?.();
  await forEach(checks, atOnce, (check) => hotState.release(check));
  return perSecond;
}

/** What a sample of tenants holds in the end: nothing. */
export async function verifyNothingHeld(
  { hotState, tenants }: Asked,
  random: Random,
): Promise<readonly string[]> {
  const failures: string[] = [];
  for (let sample = 0; sample < 200; sample++) {
    const tenantId = tenantAt(below(random, tenants));
    const state = await hotState.look(tenantId);
    if (state?.held !== 0n || state.openHolds !== 0) failures.push(`${tenantId} holds ${state?.held}`);
  }
  return failures;
}
