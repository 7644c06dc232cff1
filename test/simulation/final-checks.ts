import type { Dialect } from '../../src/dialects/dialect.ts';
import type { Asked, Attempt, Clients } from './clients.ts';
import type { Database } from './database.ts';
import type { HotStateServer } from './hot-state.ts';
import type { Machines } from './machine.ts';
import type { Mirror, MirrorRow } from './mirror.ts';
import { askedOf, type Break, expectedCharge, mustBeCharged, priceOf } from './oracle.ts';
import type { SimulatedTenant } from './tenants.ts';
import type { Upstreams } from './upstream.ts';
import { tokensOf } from './upstream-script.ts';
import type { World } from './world.ts';

export interface EndOptions {
  readonly world: World;
  readonly database: Database;
  readonly hotState: HotStateServer;
  readonly mirror: Mirror;
  readonly tenants: readonly SimulatedTenant[];
  readonly clients: Clients;
  readonly upstreams: Upstreams;
  readonly dialect: Dialect;
  readonly machines: Machines;
}

/** When everything has settled: the clients' records, the providers', the ledger and hot state tell one story. */
export async function checkEnd(options: EndOptions): Promise<void> {
  await options.mirror.update();
  for (const row of options.mirror.rows.values()) checkSettled(row, options);
  for (const tenant of options.tenants) await checkHotState(tenant, options);
  checkCharges(options);
  checkLate(options);
  checkFenced(options);
}

/** Invariant 5. */
function checkSettled(row: MirrorRow, { world }: EndOptions): void {
  if (row.status === 'PENDING')
    world.violated('every request reaches its end', `transaction ${row.id} of ${row.traceId} is open`);
}

/** Invariant 10. */
async function checkHotState(
  { id }: SimulatedTenant,
  { world, hotState, mirror }: EndOptions,
): Promise<void> {
  const state = await hotState.look(id);
  if (state === undefined) return;
  const { projection, held, openHolds } = state;
  const known = mirror.at(id, projection.version);
  if (held !== 0n || openHolds !== 0)
    world.violated('nothing is held in the end', `${id}: ${openHolds} holds of ${held}`);
  if (projection.version !== mirror.newest(id).version)
    world.violated('hot state has what the ledger has', `${id} at version ${projection.version}`);
  if (known?.balance !== projection.balance || known.dailyUsed !== projection.dailyUsed)
    world.violated('hot state has what the ledger had', `${id} at version ${projection.version}`);
}

/** Invariants 6, 7 and 8: each request by what was generated and delivered of it. */
function checkCharges(options: EndOptions): void {
  const { world, mirror, clients } = options;
  const byHash = new Map<string, Asked>();
  const attemptsOf = new Map<string, Attempt[]>();
  for (const attempt of clients.attempts) {
    const { asked } = attempt;
    byHash.set(asked.requestHash, asked);
    attemptsOf.set(asked.label, [...(attemptsOf.get(asked.label) ?? []), attempt]);
  }
  for (const row of mirror.rows.values()) {
    const asked = askedOf(row, byHash);
    if (asked === undefined) {
      if (row.type === 'CHARGE')
        world.violated('a charge is of what was asked', `${row.id} of ${row.traceId}`);
      continue;
    }
    checkCharge(row, asked, options, attemptsOf.get(asked.label) ?? []);
  }
}

function checkCharge(row: MirrorRow, asked: Asked, options: EndOptions, attempts: readonly Attempt[]): void {
  const { world, upstreams, dialect } = options;
  const exchanges = upstreams.exchanges.get(asked.label) ?? [];
  const broken = breakOf(row, options);
  if (row.status === 'VOIDED') {
    const delivered = mustBeCharged(attempts, broken);
    if (delivered > 0)
      world.violated('what is delivered is charged', `${asked.label}: ${delivered} tokens, and it is void`);
    return;
  }
  const expected = expectedCharge(asked, attempts, exchanges, {
    dialect,
    broken,
    isOrphan: row.outcome === 'gateway_died',
  });
  const amount = row.amount ?? 0n;
  if (expected === null) {
    world.violated('what nothing came of is void', `${asked.label}: ${amount}, ${row.outcome}`);
    return;
  }
  if (amount < expected.least || amount > expected.most) {
    const range = `${expected.least} to ${expected.most} (${expected.why})`;
    world.violated('a charge is what was delivered', `${asked.label}: ${amount}, not ${range}`);
  }
}

/** When a process that has not closed a request itself couldn't any more; null where it closed it. */
function breakOf({ owner, closedAtMs }: MirrorRow, { machines, database }: EndOptions): Break | null {
  const process = machines.ownerOf.get(owner ?? '');
  if (process === undefined) return null;
  const atMs = Math.min(process.diedAtMs ?? Infinity, database.endedAtMs.get(owner ?? '') ?? Infinity);
  return atMs <= (closedAtMs ?? Infinity) && atMs < Infinity ? { atMs, troubles: process.troubles } : null;
}

/** What was completed while the ledger was away is in it by now, unless its process couldn't go on until it was. */
function checkLate(options: EndOptions): void {
  const { world, mirror, clients } = options;
  for (const { asked, connection } of clients.late) {
    const row = mirror.rows.get(connection.header('x-billing-transaction-id') ?? '');
    if (row === undefined || (row.status !== 'COMMITTED' && breakOf(row, options) === null))
      world.violated('what is complete is committed', `${asked.label}, in the end`);
  }
}

/** Who was taken for dead delivers nothing any more: others have charged what it had delivered by then. */
function checkFenced({ world, mirror, clients, database }: EndOptions): void {
  for (const { asked, connection } of clients.attempts) {
    const row = mirror.rows.get(connection.header('x-billing-transaction-id') ?? '');
    const endedAtMs = database.endedAtMs.get(row?.owner ?? '');
    if (endedAtMs === undefined || !connection.isStream) continue;
    const late = connection.textUntil(Infinity).slice(connection.textUntil(endedAtMs).length);
    if (late === '') continue;
    const lost = priceOf(0, tokensOf(late), asked.tenant);
    const detail = `${asked.label}, instance ${row?.owner}: ${lost} more than the ${row?.amount} charged`;
    world.violated('who was ended delivers nothing', detail);
  }
}
