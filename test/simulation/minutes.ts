import type { TenantId } from '../../src/domain/ids.ts';
import type { HoldRef, QuotaCheck } from '../../src/hot-state/hot-state.ts';
import type { SimulatedTenant } from './tenants.ts';
import type { World } from './world.ts';

interface Counted {
  readonly atMs: number;
  readonly holder: string;
  /** Reserved, or used where that is known and less. */
  tokens: number;
}

const minuteMs = 60_000;

/** Invariant 12, for requests and tokens: what was admitted in each rolling minute since hot state was lost. */
export class Minutes {
  readonly #world: World;
  readonly #tenants: ReadonlyMap<TenantId, SimulatedTenant>;
  readonly #counted = new Map<TenantId, readonly Counted[]>();

  constructor(world: World, tenants: readonly SimulatedTenant[]) {
    this.#world = world;
    this.#tenants = new Map(tenants.map((tenant) => [tenant.id, tenant]));
  }

  clear(): void {
    this.#counted.clear();
  }

  /** @param nowMs by the clock of hot state */
  count({ tenantId, holder, tokens }: QuotaCheck, nowMs: number): void {
    const { rpmLimit = null, tpmLimit = null } = this.#tenants.get(tenantId) ?? {};
    const before = (this.#counted.get(tenantId) ?? []).filter(({ atMs }) => atMs > nowMs - minuteMs);
    const known = before.find((counted) => counted.holder === holder);
    const recent = known === undefined ? [...before, { atMs: nowMs, holder, tokens }] : before;
    if (known !== undefined) known.tokens = tokens;
    this.#counted.set(tenantId, recent);
    const sum = recent.reduce((total, counted) => total + counted.tokens, 0);
    this.#check(tenantId, recent.length, rpmLimit);
    this.#check(tenantId, sum, tpmLimit);
  }

  /** @param tokens null: not known, so that they stay reserved */
  used({ tenantId, holder }: HoldRef, tokens: number | null): void {
    const counted = this.#counted.get(tenantId)?.find((one) => one.holder === holder);
    if (counted !== undefined && tokens !== null) counted.tokens = Math.min(counted.tokens, tokens);
  }

  #check(tenantId: TenantId, count: number, limit: number | null): void {
    if (limit !== null && count > limit)
      this.#world.violated('no minute admits more than its limit', `${tenantId}: ${count} of ${limit}`);
  }
}
