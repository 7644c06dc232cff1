import { expect } from 'vitest';
import type { TenantId } from '../../src/domain/ids.ts';
import { parseAmount } from '../../src/domain/money.ts';
import type { CommittedTransaction } from '../../src/domain/transaction.ts';
import type { HotState } from '../../src/hot-state/hot-state.ts';
import { connectRedis, type RedisAddress } from '../../src/hot-state/redis/connect.ts';
import { createRedisHotState } from '../../src/hot-state/redis/redis.ts';
import { loadScripts } from '../../src/hot-state/redis/scripts.ts';
import { openPostgres } from '../../src/ledger/drivers/postgres.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import { startGateway, type TestGateway, type TestTenant } from './gateway.ts';

export interface FleetOptions {
  readonly gateways: number;
  readonly databaseUrl: string;
  /** Where the gateways find the database, if not there too: the test may look past a proxy. */
  readonly gatewaysDatabaseUrl?: string;
  /** Where the gateways find Redis, and where the test does. */
  readonly redisEnv: Readonly<Record<string, string>>;
  readonly redisAddress: RedisAddress;
}

/** Several gateway processes on one Postgres and one Redis, and both as the test itself sees them. */
export interface Fleet {
  readonly gateways: readonly TestGateway[];
  readonly ledger: Ledger;
  readonly hotState: HotState;
  stop(): Promise<void>;
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { databaseUrl, redisEnv, redisAddress } = options;
  const env = { DATABASE_URL: options.gatewaysDatabaseUrl ?? databaseUrl, ...redisEnv };
  const undo = new AsyncDisposableStack();
  // The receipts of a ledger are the same, whichever gateway tells them.
  const [first, ...others] = await Promise.all(
    Array.from({ length: options.gateways }, (_, index) => startGateway({ env, redoReceipts: index === 0 })),
  );
  const gateways = [first!, ...others];
  for (const gateway of gateways) undo.defer(() => gateway.stop());
  const driver = await openPostgres({ url: databaseUrl });
  undo.defer(() => driver.close());
  const client = await connectRedis({ address: redisAddress, onError: () => undefined });
  undo.defer(() => client.disconnect());
  const run = await loadScripts(client);
  return {
    gateways,
    ledger: createSqlLedger({ driver }),
    hotState: createRedisHotState({ run, onFault: () => undefined }),
    stop: () => undo.disposeAsync(),
  };
}

/** What a client knows of its request. */
export interface Told {
  readonly status: number;
  readonly code: string | null;
  /** It saw the answer to its end. */
  readonly isServed: boolean;
  readonly transactionId: string | null;
  /** Of a stream it isn't told. */
  readonly amount: bigint | null;
}

export interface Load {
  readonly fleet: Fleet;
  readonly clients: number;
  readonly requests: number;
  readonly model: string;
  readonly tenantOf: (index: number) => TestTenant;
  /** Called after every answer but those that were tried again. */
  readonly onAnswer?: (count: number) => void;
}

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
const mostTries = 100;
const retryPauseMs = 100;

/** Clients that send one request after the other, each fourth a stream, and a 503 again, to all gateways in turn. */
export async function sendTogether(load: Load): Promise<readonly Told[]> {
  const all: Told[] = [];
  const indexes = Array.from({ length: load.requests }, (_, index) => index).values();
  async function work(): Promise<void> {
    for (const index of indexes) {
      all.push(await sendUntilAnswered(load, index));
      load.onAnswer?.(all.length);
    }
  }
  await Promise.all(Array.from({ length: load.clients }, work));
  return all;
}

async function sendUntilAnswered(load: Load, index: number): Promise<Told> {
  for (let attempt = 1; ; attempt++) {
    const told = await send(load, index + attempt, index % 4 === 0, load.tenantOf(index));
    if (told.status !== 503 || attempt === mostTries) return told;
    await new Promise((resolve) => setTimeout(resolve, retryPauseMs));
  }
}

async function send(
  { fleet, model }: Load,
  turn: number,
  stream: boolean,
  tenant: TestTenant,
): Promise<Told> {
  const { gateways } = fleet;
  const gateway = gateways[turn % gateways.length]!;
  const { status, headers, text, json } = await gateway.call(
    '/v1/chat/completions',
    { model, messages, stream },
    { authorization: `Bearer ${tenant.apiKey}` },
  );
  const amount = headers.get('x-billing-amount');
  return {
    status,
    code: json?.error?.code ?? null,
    isServed: status === 200 && (!stream || text.trimEnd().endsWith('data: [DONE]')),
    transactionId: headers.get('x-billing-transaction-id'),
    amount: amount === null ? null : parseAmount(amount),
  };
}

async function chargesOf({ ledger }: Fleet, tenantId: string): Promise<readonly CommittedTransaction[]> {
  const rows: CommittedTransaction[] = [];
  for (;;) {
    const before = rows.at(-1)?.id;
    const page = await ledger.list({
      tenantId: tenantId as TenantId,
      type: 'CHARGE',
      status: 'COMMITTED',
      limit: 500,
      ...(before === undefined ? {} : { before }),
    });
    if (page.length === 0) return rows;
    rows.push(...page.filter((row) => row.status === 'COMMITTED'));
  }
}

/** Waits, bounded, until every request is settled; then ledger, hot state and clients have to say the same. */
export async function expectOneTruth(
  fleet: Fleet,
  tenants: readonly TestTenant[],
  told: readonly Told[],
  opening: bigint,
): Promise<void> {
  const served = new Map(told.filter(({ isServed }) => isServed).map((one) => [one.transactionId, one]));
  const found = new Set<string>();
  for (const { id } of tenants) {
    const settled = { timeout: 30_000, interval: 100 };
    await expect.poll(async () => (await openPendings(fleet, id)).length, settled).toBe(0);
    const snapshot = await snapshotOf(fleet, id);
    const charges = await chargesOf(fleet, id);
    const sum = charges.reduce((total, { amount }) => total + amount, 0n);
    expect(snapshot.projection.balance).toBe(opening - sum);
    const { dailyPeriod, dailyUsed } = snapshot.projection;
    expect(dailyUsed).toBe(charges.filter(({ periodDay }) => periodDay === dailyPeriod).length);
    for (const charge of charges) {
      found.add(charge.id);
      const client = served.get(charge.id);
      if (client?.amount != null) expect(client.amount).toBe(charge.amount);
    }
    await expect
      .poll(() => fleet.hotState.look(id as TenantId), settled)
      .toEqual({ projection: snapshot.projection, held: 0n, openHolds: 0 });
  }
  expect([...found].sort()).toEqual([...served.keys()].sort());
}

async function openPendings(fleet: Fleet, id: string) {
  return (await snapshotOf(fleet, id)).openPendings;
}

async function snapshotOf({ ledger }: Fleet, id: string) {
  const snapshot = await ledger.snapshot(id as TenantId);
  if (snapshot.kind !== 'snapshot') throw new Error(`there is no tenant ${id}`);
  return snapshot;
}
