import { hashRequest, type IdSource, type TraceId, type TransactionId } from '../../src/domain/ids.ts';
import { nano } from '../../src/domain/money.ts';
import type { QuotaProjection } from '../../src/domain/quota.ts';
import type { Database } from './database.ts';
import type { Gateway } from './gateway.ts';
import type { Mirror } from './mirror.ts';
import type { SimulatedTenant } from './tenants.ts';
import type { World } from './world.ts';

export interface OperatorsOptions {
  readonly world: World;
  readonly tenants: readonly SimulatedTenant[];
  readonly mirror: Mirror;
  readonly database: Database;
  readonly gateways: () => readonly Gateway[];
  readonly newId: IdSource;
}

/** Those who move money by hand, and one who shouldn't. Whatever fails is repeated with the same ids. */
export class Operators {
  readonly #options: OperatorsOptions;
  #actions = 0;
  /** What they took from tenants besides charges: so much a balance may be below what its limits allow. */
  readonly takenNano = new Map<string, bigint>();
  isOver = false;

  constructor(options: OperatorsOptions) {
    this.#options = options;
  }

  /** One of the things that operators do. */
  async act(): Promise<void> {
    const { chance } = this.#options.world;
    const number = this.#actions++;
    const tenant = chance.pick(this.#options.tenants);
    switch (chance.pick(['top up', 'top up', 'reverse', 'limits', 'meddle'] as const)) {
      case 'top up':
        return this.#topUp(tenant, `top-up-${number}`);
      case 'reverse':
        return this.#reverse(tenant, `reversal-${number}`);
      case 'limits':
        return this.#changeLimits(tenant);
      case 'meddle':
        return await this.#meddle(tenant);
    }
  }

  #topUp(tenant: SimulatedTenant, traceId: string): void {
    const { world, newId } = this.#options;
    const topUp = {
      id: newId() as TransactionId,
      tenantId: tenant.id,
      traceId: traceId as TraceId,
      requestHash: hashRequest(traceId),
      type: 'TOPUP' as const,
      amount: nano(BigInt(world.chance.whole(1, 20_000_000))),
      description: null,
    };
    this.#untilDone(`tops up ${tenant.id}`, async ({ ledger, hotState }) => {
      const answer = await ledger.credit(topUp);
      if (answer.kind === 'posted') await project(hotState.project, answer.projection);
    });
  }

  #reverse(tenant: SimulatedTenant, traceId: string): void {
    const { world, mirror, newId } = this.#options;
    const rows = [...mirror.rows.values()].filter((row) => row.tenantId === tenant.id);
    if (rows.length === 0) return;
    const row = world.chance.pick(rows);
    if (row.type === 'TOPUP') this.#takes(tenant, row.amount ?? 0n);
    const reversal = {
      transactionId: row.id as TransactionId,
      tenantId: tenant.id,
      id: newId() as TransactionId,
      traceId: traceId as TraceId,
      requestHash: hashRequest(traceId),
      description: null,
    };
    this.#untilDone(`reverses ${row.id}`, async ({ ledger, hotState }) => {
      const answer = await ledger.reverse(reversal);
      if (answer.kind === 'posted') await project(hotState.project, answer.projection);
    });
  }

  #changeLimits(tenant: SimulatedTenant): void {
    const { chance } = this.#options.world;
    const creditLimit = nano(BigInt(chance.whole(0, 6_000_000)));
    this.#takes(tenant, 6_000_000n);
    this.#untilDone(`changes the limits of ${tenant.id}`, async ({ ledger, hotState }) => {
      const answer = await ledger.changeLimits(tenant.id, { creditLimit });
      if (answer.kind === 'changed') await project(hotState.project, answer.projection);
    });
  }

  #takes(tenant: SimulatedTenant, amount: bigint): void {
    this.takenNano.set(tenant.id, (this.takenNano.get(tenant.id) ?? 0n) + amount);
  }

  /** By hand, past every process: a closed row is to be changed, as nobody may. */
  async #meddle(tenant: SimulatedTenant): Promise<void> {
    const { world, mirror, database } = this.#options;
    const closed = [...mirror.rows.values()].filter(
      (row) => row.tenantId === tenant.id && row.status !== 'PENDING',
    );
    if (closed.length === 0) return;
    const { id } = world.chance.pick(closed);
    const column = world.chance.pick(['description', 'model', 'provider']);
    await database
      .execute(`UPDATE billing_transaction SET ${column} = 'meddled' WHERE id = $1`, [id])
      .catch(() => undefined);
  }

  #untilDone(what: string, work: (gateway: Gateway) => Promise<void>, tries = 0): void {
    const { world, gateways } = this.#options;
    if (this.isOver || tries > 5) return;
    const living = gateways();
    if (living.length === 0) return;
    const gateway = world.chance.pick(living);
    world.note(`  operator ${what} by ${gateway.process.name}`);
    gateway.process.deliver(1, `operator ${what}`, () => {
      work(gateway).catch(() => {
        world.after(world.chance.delayMs(500), 'operator tries again', () =>
          this.#untilDone(what, work, tries + 1),
        );
      });
    });
  }
}

/** A projection that is lost is no reason to repeat what the ledger has. */
async function project(
  show: (projection: QuotaProjection) => Promise<void>,
  projection: QuotaProjection,
): Promise<void> {
  await show(projection).catch(() => undefined);
}
