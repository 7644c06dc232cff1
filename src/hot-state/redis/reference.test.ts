import { expect, it } from 'vitest';
import { loadTenant, quotaProjection } from '../../../test/support/hot-state.ts';
import { ReferenceQuota } from '../../../test/support/reference-quota.ts';
import { failOnFault, useRedis } from '../../../test/support/use-redis.ts';
import {
  type ApiKeyQuota,
  type ApiKeyQuotaName,
  quotaPeriod,
  quotaTypes,
  resetPeriods,
} from '../../domain/api-key-quota.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import { periodAt, type QuotaProjection } from '../../domain/quota.ts';
import { below, mulberry32, type Random } from '../../simulator/random.ts';
import type { HotState, QuotaCheck } from '../hot-state.ts';
import { createMemoryHotState } from '../memory.ts';
import { createRedisHotState } from './redis.ts';

// Random limits, requests, settlements, steps of the clock and ends of periods: memory and Redis answer as a model
// that counts everything anew, request by request.

const redis = useRedis();

interface Story {
  readonly seed: number;
  readonly timeZone: string;
  /** A few hours before something happens to the calendar. */
  readonly from: string;
}

const calendar: readonly Omit<Story, 'seed'>[] = [
  { timeZone: 'Europe/Berlin', from: '2026-03-28T21:00:00Z' },
  { timeZone: 'Europe/Berlin', from: '2026-10-24T20:00:00Z' },
  { timeZone: 'America/New_York', from: '2026-03-08T03:00:00Z' },
  { timeZone: 'America/New_York', from: '2026-10-31T22:00:00Z' },
  { timeZone: 'Australia/Lord_Howe', from: '2026-04-04T11:00:00Z' },
  { timeZone: 'Australia/Lord_Howe', from: '2026-10-03T11:00:00Z' },
  { timeZone: 'Asia/Shanghai', from: '2026-12-31T12:00:00Z' },
  { timeZone: 'Asia/Shanghai', from: '2028-02-28T13:00:00Z' },
  { timeZone: 'UTC', from: '2028-02-29T20:00:00Z' },
  { timeZone: 'Europe/Berlin', from: '2027-12-31T20:00:00Z' },
];

interface CommittedRequest {
  readonly apiKeyId: ApiKeyId;
  readonly periodDay: string;
  readonly tokens: number;
  readonly amount: bigint;
}

interface WorldQuota extends ApiKeyQuotaName {
  readonly total: bigint;
  /** How many requests were committed before it began to count. */
  readonly since: number;
}

class World {
  readonly random: Random;
  readonly reference: ReferenceQuota;
  readonly tenantId: TenantId;
  nowMs: number;
  /** Of the clock that never steps back. */
  monotonicMs = 0;
  /** Every committed request, as the ledger has them. */
  readonly committed: CommittedRequest[] = [];
  #quotas: readonly WorldQuota[] = [];
  #names = 0;

  constructor({ seed, timeZone, from }: Story) {
    this.random = mulberry32(seed);
    this.nowMs = Date.parse(from);
    this.tenantId = `${timeZone} ${from} ${seed}` as TenantId;
    const { tenantId } = this;
    this.reference = new ReferenceQuota(quotaProjection({ ...this.#limits(), tenantId, timeZone }));
  }

  get projection(): QuotaProjection {
    return this.reference.projection;
  }

  /** Mostly a little later; sometimes much, sometimes a little or much before, or at the very end of a day. */
  passTime(): void {
    const { random } = this;
    const draw = below(random, 100);
    const before = this.nowMs;
    if (draw < 80) this.nowMs += below(random, 1_500);
    else if (draw < 90) this.nowMs += below(random, 70_000);
    else if (draw < 94) this.nowMs += below(random, 5 * 3_600_000);
    else if (draw < 96) this.nowMs -= below(random, 5_000);
    else if (draw < 98) this.nowMs -= below(random, 3_600_000);
    else this.nowMs = periodAt(this.nowMs, this.projection.timeZone).dayEndsAtMs - 1 + below(random, 3);
    this.monotonicMs += Math.max(1, this.nowMs - before);
  }

  request(): QuotaCheck {
    const { random } = this;
    const name = this.#names++;
    const limit = (bound: number) => (below(random, 3) > 0 ? null : 1 + below(random, bound));
    return {
      tenantId: this.tenantId,
      apiKeyId: `key-${below(random, 2)}` as ApiKeyId,
      traceId: `trace ${name}` as TraceId,
      holder: `holder ${this.tenantId} ${name}` as TransactionId,
      holdAmount: nano(BigInt(below(random, 30))),
      tokens: below(random, 300),
      limits: {
        maxOpenRequests: limit(20),
        apiKey: { rpmLimit: limit(15), tpmLimit: limit(3_000), maxOpenRequests: limit(12) },
      },
      observe: false,
    };
  }

  /** Another version of the tenant's row, with what is committed in the latest day and its month. */
  change(changes: Partial<QuotaProjection>): QuotaProjection {
    const days = this.committed.map(({ periodDay }) => periodDay).sort();
    const dailyPeriod = days.at(-1) ?? null;
    const monthlyPeriod = dailyPeriod?.slice(0, 7) ?? null;
    this.reference.projection = {
      ...this.projection,
      ...changes,
      version: this.projection.version + 1,
      dailyPeriod,
      dailyUsed: days.filter((day) => day === dailyPeriod).length,
      monthlyPeriod,
      monthlyUsed: days.filter((day) => monthlyPeriod !== null && day.startsWith(monthlyPeriod)).length,
      apiKeyQuotas: this.#quotas.map((quota) => this.#countedIn(quota)),
    };
    return this.projection;
  }

  /** Other limits, and other quotas of the API keys: some go on counting, some begin anew, some are taken away. */
  changeLimits(): QuotaProjection {
    const before = this.#quotas;
    this.#quotas = this.#someQuotas();
    const taken = before
      .filter((one) => !this.#quotas.some((other) => isSameQuota(one, other)))
      .map((quota) => ({ ...this.#countedIn(quota), total: null }));
    const projection = this.change(this.#limits());
    return { ...projection, apiKeyQuotas: [...projection.apiKeyQuotas, ...taken] };
  }

  #someQuotas(): readonly WorldQuota[] {
    const { random } = this;
    const totals = { requests: 60, tokens: 9_000, amount: 900 };
    return quotaNames
      .filter(() => below(random, 9) === 0)
      .map((name) => {
        const known = this.#quotas.find((quota) => isSameQuota(quota, name));
        const since = known !== undefined && below(random, 3) > 0 ? known.since : this.committed.length;
        return { ...name, total: BigInt(below(random, totals[name.quotaType])), since };
      });
  }

  #countedIn({ since, ...quota }: WorldQuota): ApiKeyQuota {
    const counted = this.committed.slice(since).filter(({ apiKeyId }) => apiKeyId === quota.apiKeyId);
    const periods = counted.map(({ periodDay }) => quotaPeriod(quota.resetPeriod, periodDay)).sort();
    const period = periods.at(-1) ?? null;
    const used = counted
      .filter(({ periodDay }) => quotaPeriod(quota.resetPeriod, periodDay) === period)
      .map(({ tokens, amount }) => ({ requests: 1n, tokens: BigInt(tokens), amount }))
      .reduce((sum, one) => sum + one[quota.quotaType], 0n);
    return { ...quota, used, period };
  }

  #limits() {
    const { random } = this;
    const limit = (from: number, to: number) => (below(random, 2) === 0 ? null : from + below(random, to));
    return {
      balance: nano(BigInt(100 + below(random, 1_500))),
      creditLimit: nano(BigInt(below(random, 100))),
      dailyQuota: limit(10, 100),
      monthlyQuota: limit(40, 300),
      rpmLimit: limit(3, 30),
      tpmLimit: limit(500, 6_000),
    };
  }
}

const quotaNames: readonly ApiKeyQuotaName[] = ['key-0', 'key-1'].flatMap((apiKeyId) =>
  quotaTypes.flatMap((quotaType) =>
    resetPeriods.map((resetPeriod) => ({ apiKeyId: apiKeyId as ApiKeyId, quotaType, resetPeriod })),
  ),
);

function isSameQuota(a: ApiKeyQuotaName, b: ApiKeyQuotaName): boolean {
  return a.apiKeyId === b.apiKeyId && a.quotaType === b.quotaType && a.resetPeriod === b.resetPeriod;
}

/** Asks both. @returns what the model answered */
async function request(world: World, hotState: HotState, at: object): Promise<string> {
  const check = world.request();
  const expected = world.reference.check(check, world.nowMs);
  expect({ at, answer: await hotState.check(check) }).toEqual({ at, answer: expected });
  if (expected.kind === 'denied') return expected.limit;
  await hotState.confirm({ ...check, periodDay: expected.periodDay });
  return expected.kind;
}

async function settle(world: World, hotState: HotState): Promise<void> {
  const { random, reference, committed, nowMs } = world;
  const { open } = reference;
  const isVoided = below(random, 4) === 0;
  const tokens = isVoided ? 0 : below(random, 320);
  const { check, periodDay } = reference.settle(open[below(random, open.length)]!, tokens, nowMs);
  if (isVoided) return await hotState.release(check);
  const amount = BigInt(below(random, 20));
  committed.push({ apiKeyId: check.apiKeyId, periodDay, tokens, amount });
  const projection = world.change({ balance: nano(reference.projection.balance - amount) });
  // The ledger tells the quotas of the API key that was charged.
  const apiKeyQuotas = projection.apiKeyQuotas.filter(({ apiKeyId }) => apiKeyId === check.apiKeyId);
  await hotState.deduct(check, { ...projection, apiKeyQuotas }, tokens);
}

/** @returns how often each answer came */
async function tell(story: Story, steps: number, hotState: HotState, world: World) {
  const answers = new Map<string, number>();
  await loadTenant(hotState, { projection: world.projection });
  for (let step = 0; step < steps; step++) {
    world.passTime();
    const draw = below(world.random, 100);
    if (draw < 60 || world.reference.open.length === 0) {
      const answer = await request(world, hotState, { ...story, step });
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    } else if (draw < 95) await settle(world, hotState);
    else await hotState.project(world.changeLimits());
  }
  return answers;
}

const seeds = Number(process.env.SEEDS ?? 2);
const first = Number(process.env.SEED ?? 1);
const stories = calendar.flatMap((days) =>
  Array.from({ length: seeds }, (_, index): Story => ({ ...days, seed: first + index })),
);

const denials = [
  ...['balance', 'daily_requests', 'monthly_requests', 'requests_per_minute', 'tokens_per_minute'],
  ...['api_key_requests_per_minute', 'api_key_tokens_per_minute', 'open_requests', 'api_key_open_requests'],
  ...['api_key_requests', 'api_key_tokens', 'api_key_amount'],
];

it.each(['memory', 'Redis'])(
  '%s decides, tells what is left and when to come back as the model',
  async (name) => {
    const total = new Map<string, number>();
    for (const story of stories) {
      const world = new World(story);
      const clock = { now: () => world.nowMs, monotonic: () => world.monotonicMs };
      const hotState =
        name === 'memory'
          ? createMemoryHotState({ clock })
          : createRedisHotState({ run: redis.run, now: clock.now, onFault: failOnFault });
      for (const [answer, count] of await tell(story, 600, hotState, world))
        total.set(answer, (total.get(answer) ?? 0) + count);
    }
    console.info(`${stories.length} stories: ${JSON.stringify(Object.fromEntries(total))}`);
    expect([...total.keys()].sort()).toEqual(['admitted', ...denials].sort());
  },
);
