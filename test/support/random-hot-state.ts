import { type ApiKeyQuota, quotaPeriod, quotaTypes, resetPeriods } from '../../src/domain/api-key-quota.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../src/domain/ids.ts';
import { type NanoUsd, nano } from '../../src/domain/money.ts';
import { periodAt, type QuotaProjection } from '../../src/domain/quota.ts';
import type {
  CalledLimits,
  Confirmation,
  HoldRef,
  HoldSums,
  HotState,
  LoadTicket,
  QuotaCheck,
} from '../../src/hot-state/hot-state.ts';
import type { TenantSnapshot } from '../../src/ledger/ledger.ts';
import { below, mulberry32, type Random } from '../../src/simulator/random.ts';

export type HotStateCommand =
  | { readonly kind: 'check'; readonly check: QuotaCheck }
  | { readonly kind: 'confirm' | 'extend'; readonly confirmation: Confirmation }
  | {
      readonly kind: 'deduct';
      readonly hold: HoldRef;
      readonly projection: QuotaProjection;
      readonly tokens: number | null;
    }
  | { readonly kind: 'release'; readonly hold: HoldRef }
  | { readonly kind: 'project'; readonly projection: QuotaProjection }
  | { readonly kind: 'load'; readonly snapshot: TenantSnapshot }
  | { readonly kind: 'forget'; readonly tenantId: TenantId }
  | { readonly kind: 'flush' };

export interface TimedCommand {
  readonly command: HotStateCommand;
  readonly nowMs: number;
}

export type StateCommand = Exclude<HotStateCommand, { kind: 'flush' }>;

export function tenantOf(command: StateCommand): TenantId {
  switch (command.kind) {
    case 'check':
      return command.check.tenantId;
    case 'confirm':
    case 'extend':
      return command.confirmation.tenantId;
    case 'deduct':
    case 'project':
      return command.projection.tenantId;
    case 'release':
      return command.hold.tenantId;
    case 'load':
      return command.snapshot.projection.tenantId;
    case 'forget':
      return command.tenantId;
  }
}

/** A hot state, and the newest ticket that it gave for each tenant: one from before a flush among them. */
export interface Commanded {
  readonly hotState: HotState;
  readonly tickets: Map<TenantId, LoadTicket>;
}

/** @returns the answer, without what is each adapter's own: its tickets */
export async function perform({ hotState, tickets }: Commanded, command: StateCommand) {
  const tenantId = tenantOf(command);
  switch (command.kind) {
    case 'check':
    case 'confirm':
    case 'extend': {
      const answer = await ask(hotState, command);
      if (answer.kind !== 'cold') return answer;
      tickets.set(tenantId, answer.ticket);
      return { kind: answer.kind };
    }
    case 'deduct':
      return await hotState.deduct(command.hold, command.projection, command.tokens);
    case 'release':
      return await hotState.release(command.hold);
    case 'project':
      return await hotState.project(command.projection);
    case 'load':
      return await hotState.load(command.snapshot, tickets.get(tenantId) ?? ('0 none' as LoadTicket));
    case 'forget':
      return await hotState.forget(command.tenantId);
  }
}

function ask(hotState: HotState, command: Extract<StateCommand, { kind: 'check' | 'confirm' | 'extend' }>) {
  switch (command.kind) {
    case 'check':
      return hotState.check(command.check);
    case 'confirm':
      return hotState.confirm(command.confirmation);
    case 'extend':
      return hotState.extend(command.confirmation);
  }
}

interface World {
  readonly random: Random;
  nowMs: number;
  /** The newest version made of each tenant. */
  readonly versions: Map<TenantId, number>;
}

interface TenantKind {
  readonly id: TenantId;
  readonly timeZone: string;
  readonly balance: (random: Random) => bigint;
  readonly hold: (random: Random) => bigint;
}

/** Where floats, `tostring` and HINCRBY lose digits, and the smallest and largest that the ledger keeps. */
const edges = [
  0n,
  1n,
  10n ** 8n,
  7n * 10n ** 8n,
  10n ** 14n - 1n,
  10n ** 14n,
  10n ** 15n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  10n ** 20n - 1n,
];

const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)]!;
const smallAmount = (bound: number) => (random: Random) => BigInt(below(random, bound));
const edgeAmount = (random: Random) => pick(random, edges);
const sumOfEdges = (random: Random) => {
  const sum = edgeAmount(random) + edgeAmount(random) * BigInt(1 + below(random, 3));
  return below(random, 6) === 0 ? -sum : sum;
};
const aroundEdge = (random: Random) => edgeAmount(random) + BigInt(below(random, 3));

const tenants: readonly TenantKind[] = [
  { id: 'small' as TenantId, timeZone: 'UTC', balance: smallAmount(500), hold: smallAmount(90) },
  { id: 'edges' as TenantId, timeZone: 'America/New_York', balance: sumOfEdges, hold: aroundEdge },
  { id: 'vast' as TenantId, timeZone: 'Pacific/Apia', balance: () => 10n ** 21n, hold: aroundEdge },
  { id: 'a{b}c d' as TenantId, timeZone: 'Asia/Kathmandu', balance: sumOfEdges, hold: smallAmount(5) },
];

/** Seeded commands for a few tenants and trace ids, so that they meet. The time goes on between them. */
export function* randomCommands(seed: number, count: number): Generator<TimedCommand> {
  const random = mulberry32(seed);
  const world: World = { random, nowMs: Date.parse('2026-11-23T12:00:00Z'), versions: new Map() };
  for (let index = 0; index < count; index++) {
    const longStep = below(random, 200) === 0;
    world.nowMs += longStep ? below(random, 40 * 3_600_000) : below(random, 4_000);
    yield { command: randomCommand(world), nowMs: world.nowMs };
  }
}

function randomCommand(world: World): HotStateCommand {
  const { random } = world;
  const tenant = pick(random, tenants);
  const draw = below(random, 1_000);
  if (draw < 2) return { kind: 'flush' };
  if (draw < 8) return { kind: 'forget', tenantId: tenant.id };
  if (draw < 550) {
    const hold = randomHold(world, tenant);
    const asked = { ...hold, holdAmount: nano(tenant.hold(random)), observe: below(random, 8) === 0 };
    if (draw < 400) {
      const check = { ...asked, tokens: below(random, 600), limits: randomLimits(world) };
      return { kind: 'check', check };
    }
    const kind = draw < 480 ? 'confirm' : 'extend';
    return {
      kind,
      confirmation: { ...asked, tokens: below(random, 600), periodDay: randomDay(world, tenant) },
    };
  }
  if (draw < 700) return { kind: 'release', hold: randomHold(world, tenant) };
  const projection = randomProjection(world, tenant);
  if (draw < 850) {
    const tokens = below(random, 4) === 0 ? null : below(random, 700);
    return { kind: 'deduct', hold: randomHold(world, tenant), projection, tokens };
  }
  if (draw < 900) return { kind: 'project', projection };
  return { kind: 'load', snapshot: randomSnapshot(world, tenant, projection) };
}

function randomHold({ random }: World, { id }: TenantKind): HoldRef {
  const trace = below(random, 12);
  return {
    tenantId: id,
    apiKeyId: `key-${trace % 3}` as ApiKeyId,
    traceId: `trace ${trace}` as TraceId,
    // Trace ids of two tenants may meet, transaction ids never do.
    holder: `holder ${id} ${trace} ${below(random, 3)}` as TransactionId,
  };
}

function randomLimits({ random }: World): CalledLimits {
  const limit = (bound: number) => (below(random, 3) > 0 ? null : below(random, bound));
  return {
    maxOpenRequests: limit(12),
    apiKey: { rpmLimit: limit(8), tpmLimit: limit(2_000), maxOpenRequests: limit(6) },
  };
}

function randomSnapshot(world: World, tenant: TenantKind, projection: QuotaProjection): TenantSnapshot {
  const pendings = new Map(
    Array.from({ length: below(world.random, 5) }, () => randomHold(world, tenant)).map((hold) => [
      hold.traceId,
      {
        traceId: hold.traceId,
        transactionId: hold.holder,
        apiKeyId: hold.apiKeyId,
        holdAmount: nano(tenant.hold(world.random)),
        holdTokens: below(world.random, 600),
        periodDay: randomDay(world, tenant),
      },
    ]),
  );
  return { kind: 'snapshot', projection, openPendings: [...pendings.values()] };
}

/** Today, or a few days around it: clocks of several processes differ. */
function randomDay({ random, nowMs }: World, { timeZone }: TenantKind): string {
  const days = below(random, 4) === 0 ? below(random, 5) - 3 : 0;
  return periodAt(nowMs + days * 86_400_000, timeZone).day;
}

function randomProjection(world: World, tenant: TenantKind): QuotaProjection {
  const { random, versions } = world;
  const newest = versions.get(tenant.id) ?? 1;
  const version = Math.max(1, newest + below(random, 5) - 2);
  versions.set(tenant.id, Math.max(newest, version));
  const day = below(random, 8) === 0 ? null : randomDay(world, tenant);
  const quota = (bound: number) => (below(random, 2) === 0 ? null : below(random, bound));
  const amount = (value: bigint): NanoUsd => nano(value);
  return {
    tenantId: tenant.id,
    version,
    balance: amount(tenant.balance(random)),
    creditLimit: amount(below(random, 3) === 0 ? edgeAmount(random) : 0n),
    currency: 'USD',
    // A tenant may move.
    timeZone: below(random, 20) === 0 ? 'Europe/Berlin' : tenant.timeZone,
    dailyQuota: quota(12),
    dailyUsed: below(random, 6),
    dailyPeriod: day,
    monthlyQuota: below(random, 5) === 0 ? Number.MAX_SAFE_INTEGER : quota(20),
    monthlyUsed: below(random, 8),
    monthlyPeriod: day === null ? null : day.slice(0, 7),
    rpmLimit: quota(12),
    tpmLimit: quota(4_000),
    maxOpenRequests: null,
    blockOnInsufficient: null,
    allowNegative: null,
    streamAllowNegative: null,
    rateMultiplierPpm: BigInt(below(random, 2_000_000)),
    apiKeyQuotas: randomQuotas(world, tenant),
  };
}

/** Of some of the API keys; some taken away. */
function randomQuotas(world: World, tenant: TenantKind): readonly ApiKeyQuota[] {
  const { random } = world;
  const names = [0, 1, 2].flatMap((key) =>
    quotaTypes.flatMap((quotaType) =>
      resetPeriods.map((resetPeriod) => ({ apiKeyId: `key-${key}` as ApiKeyId, quotaType, resetPeriod })),
    ),
  );
  return names
    .filter(() => below(random, 12) === 0)
    .map((name) => {
      const count = (bound: number) => BigInt(below(random, bound));
      const total =
        name.quotaType === 'amount'
          ? tenant.hold(random) * 4n
          : count(name.quotaType === 'tokens' ? 3_000 : 12);
      return {
        ...name,
        total: below(random, 4) === 0 ? null : total,
        used: name.quotaType === 'amount' ? tenant.hold(random) : count(6),
        period: below(random, 5) === 0 ? null : quotaPeriod(name.resetPeriod, randomDay(world, tenant)),
      };
    });
}

/** What hot state knows of a tenant, in an order of its own. */
export async function stateOf(hotState: HotState, tenantId: TenantId) {
  const known = await hotState.holds(tenantId);
  if (known === undefined) return undefined;
  const { projection, holds, sums } = known;
  const byTrace = [...holds].sort((a, b) => (a.traceId < b.traceId ? -1 : 1));
  return { projection, holds: byTrace, sums: sortedSums(sums) };
}

export function sortedSums({ held, openByDay, ofApiKeys }: HoldSums): HoldSums {
  const keyOf = (one: HoldSums['ofApiKeys'][number]) => `${one.apiKeyId} ${one.periodDay}`;
  return {
    held,
    openByDay: [...openByDay].sort((a, b) => (a.periodDay < b.periodDay ? -1 : 1)),
    ofApiKeys: [...ofApiKeys].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
  };
}
