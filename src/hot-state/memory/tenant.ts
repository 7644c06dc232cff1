import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { type NanoUsd, nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { Bucket } from '../../domain/rolling-window.ts';
import type { HoldRef, HoldState, HoldSums, Limit, StandingHold } from '../hot-state.ts';
import { ApiKeys } from './api-keys.ts';
import { RateWindows, type Scope } from './rate-windows.ts';

export interface Hold {
  readonly holder: TransactionId;
  readonly amount: NanoUsd;
  readonly periodDay: string;
  readonly state: HoldState;
  readonly apiKeyId: ApiKeyId;
  /** What its check reserved, and where: in no minute of a tenant or an API key without such a limit. */
  readonly tokens: number;
  readonly tokenBuckets: readonly { readonly scope: Scope; readonly bucket: Bucket }[];
  /** Which limit it exceeds, admitted to observe. */
  readonly exceeded: Limit | null;
}

/**
 * A hold that isn't confirmed in this time is dropped. One that is confirmed later still is placed anew, if
 * the money is there.
 */
const unconfirmedForMs = 30_000;
const mostDroppedAtOnce = 100;

/** A tenant in hot state: its projection, and its open holds. */
export class Tenant {
  readonly tenantId: TenantId;
  /** Null before the first one came. */
  projection: QuotaProjection | null = null;
  /** False until a snapshot told the open holds. */
  isLoaded = false;
  /** Given to those who were told that it is cold; null once it is loaded. */
  ticket: string | null = null;
  readonly holds = new Map<TraceId, Hold>();
  held = 0n;
  /** Open holds by the day they count in. */
  readonly openByDay = new Map<string, number>();
  readonly windows = new RateWindows();
  readonly apiKeys = new ApiKeys();
  /** When holds that aren't confirmed are dropped, soonest first. */
  readonly #unconfirmed = new Map<TraceId, number>();

  constructor(tenantId: TenantId) {
    this.tenantId = tenantId;
  }

  /** Takes a projection, and each quota of an API key, if it is newer. */
  project(projection: QuotaProjection): void {
    this.apiKeys.project(projection);
    if (this.projection === null || projection.version > this.projection.version)
      this.projection =
        projection.apiKeyQuotas.length === 0 ? projection : { ...projection, apiKeyQuotas: [] };
  }

  /** Where none stands under this trace id. */
  place(traceId: TraceId, hold: Hold, nowMs: number): void {
    this.holds.set(traceId, hold);
    this.held += hold.amount;
    addTo(this.openByDay, hold.periodDay, 1);
    this.apiKeys.open(hold);
    if (hold.state === 'checked') this.#unconfirmed.set(traceId, nowMs + unconfirmedForMs);
  }

  /** Makes a hold stay that stands. */
  confirm(traceId: TraceId, hold: Hold): void {
    this.holds.set(traceId, { ...hold, state: 'confirmed' });
    this.#unconfirmed.delete(traceId);
  }

  /** Removes a hold if it is this holder's, and corrects its minute to the tokens it really used, if they are known. */
  settle({ traceId, holder }: HoldRef, tokens: number | null, nowMs: number): void {
    const hold = this.holds.get(traceId);
    if (hold?.holder !== holder) return;
    if (tokens !== null) this.correctTokens(hold, tokens, nowMs);
    this.drop(traceId, hold);
  }

  correctTokens({ tokenBuckets, tokens: reserved }: Hold, tokens: number, nowMs: number): void {
    for (const { scope, bucket } of tokenBuckets)
      this.windows.correct('tokens', scope, nowMs, bucket, tokens - reserved);
  }

  drop(traceId: TraceId, hold: Hold): void {
    this.holds.delete(traceId);
    this.#unconfirmed.delete(traceId);
    this.held -= hold.amount;
    addTo(this.openByDay, hold.periodDay, -1);
    this.apiKeys.close(hold);
  }

  /** Its holds stay until it is loaded, which has to know how far they had grown; what is counted of them is not right until then. */
  forget(): void {
    this.projection = null;
    this.isLoaded = false;
    this.ticket = null;
    this.#unconfirmed.clear();
    this.apiKeys.forget();
  }

  /** Opens it with no holds. @returns those of before it was forgotten, which no check had yet to make durable */
  beginAnew(version: number): ReadonlyMap<TraceId, Hold> {
    const before = new Map([...this.holds].filter(([, { state }]) => state !== 'checked'));
    this.isLoaded = true;
    this.ticket = null;
    this.holds.clear();
    this.held = 0n;
    this.openByDay.clear();
    this.apiKeys.beginAnew(version);
    return before;
  }

  get standing(): readonly StandingHold[] {
    return [...this.holds].map(([traceId, { holder, apiKeyId, amount, tokens, periodDay, state }]) => ({
      tenantId: this.tenantId,
      traceId,
      holder,
      apiKeyId,
      amount,
      tokens,
      periodDay,
      state,
    }));
  }

  get sums(): HoldSums {
    return {
      held: nano(this.held),
      openByDay: [...this.openByDay].map(([periodDay, requests]) => ({
        periodDay,
        requests: BigInt(requests),
      })),
      ofApiKeys: this.apiKeys.reserved,
    };
  }

  dropUnconfirmed(nowMs: number): void {
    let dropped = 0;
    for (const [traceId, untilMs] of this.#unconfirmed) {
      if (untilMs > nowMs || dropped++ === mostDroppedAtOnce) return;
      const hold = this.holds.get(traceId);
      if (hold !== undefined) this.drop(traceId, hold);
    }
  }
}

function addTo<Name>(counts: Map<Name, number>, name: Name, change: number): void {
  const count = (counts.get(name) ?? 0) + change;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}

/** Tenants in the order of their last use. */
export class TenantTable {
  readonly #tenants = new Map<TenantId, Tenant>();
  readonly #maxTenants: number;

  constructor(maxTenants: number) {
    this.#maxTenants = maxTenants;
  }

  find(tenantId: TenantId): Tenant | undefined {
    const tenant = this.#tenants.get(tenantId);
    if (tenant !== undefined) {
      this.#tenants.delete(tenantId);
      this.#tenants.set(tenantId, tenant);
    }
    return tenant;
  }

  /** One that isn't here begins empty and cold. */
  get(tenantId: TenantId, nowMs: number): Tenant {
    const known = this.find(tenantId);
    if (known !== undefined) return known;
    const tenant = new Tenant(tenantId);
    this.#tenants.set(tenantId, tenant);
    this.#forgetIdle(nowMs);
    return tenant;
  }

  #forgetIdle(nowMs: number): void {
    if (this.#tenants.size <= this.#maxTenants) return;
    for (const [tenantId, tenant] of this.#tenants) {
      if (tenant.holds.size > 0 || !tenant.windows.isOverAt(nowMs)) continue;
      this.#tenants.delete(tenantId);
      return;
    }
  }
}
