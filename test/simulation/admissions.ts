import type { TenantId } from '../../src/domain/ids.ts';
import { periodAt } from '../../src/domain/quota.ts';
import type { Confirmation, Extension, HoldRef, QuotaCheck } from '../../src/hot-state/hot-state.ts';
import type { OpenPending } from '../../src/ledger/ledger.ts';
import type { Executed, HotStateServer } from './hot-state.ts';
import { Minutes } from './minutes.ts';
import type { Mirror } from './mirror.ts';
import type { SimulatedTenant } from './tenants.ts';
import type { World } from './world.ts';

/** A hold as it was admitted. */
interface KnownHold {
  readonly tenantId: TenantId;
  readonly traceId: string;
  amount: bigint;
  /** Whether something may be delivered for it. */
  isConfirmed: boolean;
  /** Whether hot state has it still, as far as can be told from outside. */
  isPlaced: boolean;
  /** Whether hot state may hold something for it: placed again also by what was sent long ago. */
  mayBeHeld: boolean;
  readonly periodDay: string;
}

const settledForMs = 29_000;

/**
 * Watches what hot state admits, against what the ledger says and not against hot state's own sums: invariants 2,
 * 10, 11 and 12.
 */
export class Admissions {
  readonly #world: World;
  readonly #server: HotStateServer;
  readonly #mirror: Mirror;
  readonly #tenants: ReadonlyMap<TenantId, SimulatedTenant>;
  /** By holder. */
  readonly #holds = new Map<string, KnownHold>();
  /** When each holder was settled, in what hot state knows. */
  readonly #settledAtMs = new Map<string, number>();
  readonly #minutes: Minutes;
  /** The newest version that hot state has been shown since it was last empty. */
  readonly #shown = new Map<TenantId, number>();
  admitted = 0;
  denied = 0;

  constructor(world: World, server: HotStateServer, mirror: Mirror, tenants: readonly SimulatedTenant[]) {
    this.#world = world;
    this.#server = server;
    this.#mirror = mirror;
    this.#minutes = new Minutes(world, tenants);
    this.#tenants = new Map(tenants.map((tenant) => [tenant.id, tenant]));
  }

  /** Hot state was lost: what is confirmed comes back as its row has it. */
  forgetAll(): void {
    this.#settledAtMs.clear();
    this.#minutes.clear();
    this.#shown.clear();
    for (const [holder, hold] of this.#holds) {
      hold.isPlaced = false;
      hold.mayBeHeld = false;
      const row = this.#mirror.rows.get(holder);
      if (row?.holdAmount !== null && row?.holdAmount !== undefined) hold.amount = row.holdAmount;
    }
  }

  /** The server's clock stepped: what it calls a minute is another one now. */
  forgetMinutes(): void {
    this.#minutes.clear();
  }

  async see(executed: Executed): Promise<void> {
    switch (executed.method) {
      case 'check':
        if (executed.answer.kind === 'denied') this.denied++;
        if (executed.answer.kind === 'admitted')
          await this.#checked(executed.asked[0], executed.answer.periodDay);
        return;
      case 'confirm':
        if (executed.answer.kind === 'confirmed') await this.#confirmed(executed.asked[0]);
        return;
      case 'extend':
        if (executed.answer.kind === 'extended') await this.#extended(executed.asked[0]);
        return;
      case 'deduct':
        this.#settled(executed.asked[0]);
        this.#minutes.used(executed.asked[0], executed.asked[2]);
        return await this.#projected(executed.asked[1]);
      case 'release':
        this.#minutes.used(executed.asked[0], 0);
        return this.#settled(executed.asked[0]);
      case 'forget':
        return this.#forgotten(executed.asked[0]);
      case 'project':
        return await this.#projected(executed.asked[0]);
      case 'load':
        this.#loaded(executed.asked[0].openPendings);
        return await this.#projected(executed.asked[0].projection);
      default:
        return;
    }
  }

  async #checked(check: QuotaCheck, periodDay: string): Promise<void> {
    this.#checkSettled(check);
    const known = this.#holds.get(check.holder);
    if (known !== undefined) known.mayBeHeld = true;
    // Asked again: counted once, and it holds what was asked for last, unless its row is durable.
    if (known !== undefined && (known.isConfirmed || this.#mirror.rows.has(check.holder))) return;
    if (known?.isPlaced === true) {
      known.amount = check.holdAmount;
      this.#minutes.count(check, this.#server.nowMs);
      return;
    }
    this.admitted++;
    const { tenantId, traceId, holder } = check;
    this.#holds.set(holder, {
      tenantId,
      traceId,
      amount: check.holdAmount,
      isConfirmed: false,
      isPlaced: true,
      mayBeHeld: true,
      periodDay,
    });
    this.#checkDay(check, periodDay);
    this.#minutes.count(check, this.#server.nowMs);
    await this.#checkMoney(check, check.holdAmount);
  }

  async #confirmed(confirmation: Confirmation): Promise<void> {
    const { tenantId, traceId, holder, holdAmount, periodDay } = confirmation;
    this.#checkSettled(confirmation);
    const known = this.#holds.get(holder);
    const isNew = known?.isPlaced !== true;
    const hold = known ?? {
      tenantId,
      traceId,
      amount: holdAmount,
      periodDay,
      isConfirmed: false,
      isPlaced: true,
      mayBeHeld: true,
    };
    this.#holds.set(holder, hold);
    const wasConfirmed = hold.isConfirmed;
    hold.isConfirmed = true;
    hold.isPlaced = true;
    hold.mayBeHeld = true;
    if (!wasConfirmed) hold.amount = holdAmount;
    if (periodDay !== hold.periodDay)
      this.#world.violated('each request counts in one day and one month', `${holder} changed its day`);
    if (isNew) await this.#checkMoney(confirmation, 0n);
  }

  async #extended({ tenantId, holder, holdAmount }: Extension): Promise<void> {
    this.#checkSettled({ tenantId, holder });
    const hold = this.#holds.get(holder);
    if (hold === undefined)
      return this.#world.violated('a hold that grows was admitted', `${tenantId} ${holder}`);
    if (hold.isPlaced && holdAmount <= hold.amount) return;
    hold.amount = hold.isPlaced ? holdAmount : bigger(holdAmount, hold.amount);
    hold.isPlaced = true;
    hold.mayBeHeld = true;
    await this.#checkMoney({ tenantId, holder }, 0n);
  }

  /** Cold, and yet what is durable comes back as large as it had grown. */
  #forgotten(tenantId: TenantId): void {
    for (const hold of this.#holds.values()) if (hold.tenantId === tenantId) hold.isPlaced = false;
  }

  #loaded(openPendings: readonly OpenPending[]): void {
    for (const { transactionId, holdAmount } of openPendings) {
      const hold = this.#holds.get(transactionId);
      if (hold === undefined || this.#isSettled(transactionId)) continue;
      hold.mayBeHeld = true;
      hold.amount = bigger(hold.amount, holdAmount);
    }
  }

  #settled({ holder }: HoldRef): void {
    this.#settledAtMs.set(holder, this.#world.nowMs);
    const hold = this.#holds.get(holder);
    if (hold === undefined) return;
    hold.isPlaced = false;
    hold.mayBeHeld = false;
  }

  /** Hot state recognises what was settled a short while ago. */
  #isSettled(holder: string): boolean {
    return this.#world.nowMs - (this.#settledAtMs.get(holder) ?? -Infinity) < settledForMs;
  }

  /** A question that was sent before, or is repeated, comes too late to hold anything. */
  #checkSettled({ tenantId, holder }: Pick<HoldRef, 'tenantId' | 'holder'>): void {
    if (this.#isSettled(holder))
      this.#world.violated('what is settled is not held again', `${tenantId} ${holder}`);
  }

  /** An older projection never takes the place of a newer one. */
  async #projected({ tenantId, version }: { tenantId: TenantId; version: number }): Promise<void> {
    const shown = Math.max(version, this.#shown.get(tenantId) ?? 0);
    this.#shown.set(tenantId, shown);
    const state = await this.#server.look(tenantId);
    if (state === undefined) return;
    if (state.projection.version !== shown) {
      this.#world.violated(
        'a projection is only replaced by a newer one',
        `${tenantId} has ${state.projection.version}, not ${shown}`,
      );
    }
    const known = this.#mirror.at(tenantId, state.projection.version);
    if (known?.balance !== state.projection.balance)
      this.#world.violated(
        'hot state has what the ledger had',
        `${tenantId} at version ${state.projection.version}`,
      );
  }

  /**
   * What the tenant has, as hot state knew it, covers everything that is open: every confirmed request that the
   * ledger had not closed by then, and this one.
   */
  async #checkMoney(asking: Pick<HoldRef, 'tenantId' | 'holder'>, ownAmount: bigint): Promise<void> {
    const state = await this.#server.look(asking.tenantId);
    const quota =
      state === undefined ? undefined : this.#mirror.at(asking.tenantId, state.projection.version);
    if (state === undefined || quota === undefined) {
      this.#world.violated('only what is loaded admits', asking.tenantId);
      return;
    }
    this.#checkHeld(asking.tenantId, state.held);
    let open = ownAmount;
    for (const [holder, hold] of this.#holds) {
      if (hold.tenantId !== asking.tenantId || !hold.isConfirmed) continue;
      if (ownAmount > 0n && holder === asking.holder) continue;
      if (this.#isOpenAt(holder, state.projection.version)) open += hold.amount;
    }
    const has = quota.balance + quota.creditLimit;
    if (open > has)
      this.#world.violated(
        'open holds are covered',
        `${asking.tenantId} has ${has} at version ${quota.version}, open are ${open}`,
      );
  }

  /** However often it is asked for. */
  #checkHeld(tenantId: TenantId, held: bigint): void {
    let sum = 0n;
    for (const hold of this.#holds.values())
      if (hold.tenantId === tenantId && hold.mayBeHeld) sum += hold.amount;
    if (held > sum)
      this.#world.violated('a request is held for once', `${tenantId}: ${held} is held, for ${sum}`);
  }

  #isOpenAt(holder: string, version: number): boolean {
    const row = this.#mirror.rows.get(holder);
    if (row === undefined || row.status === 'VOIDED') return false;
    return row.status === 'PENDING' || (row.version ?? 0) > version;
  }

  #checkDay({ tenantId }: QuotaCheck, periodDay: string): void {
    const tenant = this.#tenants.get(tenantId);
    if (tenant === undefined) return;
    const { day } = periodAt(this.#server.nowMs, tenant.timeZone);
    const latest = this.#mirror.newest(tenantId).dailyPeriod;
    if (periodDay === day || (latest !== null && periodDay > day && periodDay <= latest)) return;
    this.#world.violated(
      'each request counts in one day and one month',
      `${tenantId} admitted in ${periodDay}, and it is ${day}`,
    );
  }
}

function bigger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
