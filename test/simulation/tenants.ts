import {
  type ApiKey,
  type Catalog,
  type Credentials,
  type ServedModel,
  type TenantTerms,
  unlimitedApiKey,
} from '../../src/catalog/catalog.ts';
import {
  type ApiKeyId,
  hashRequest,
  hashSecret,
  type TenantId,
  type TraceId,
  type TransactionId,
  type UpstreamId,
} from '../../src/domain/ids.ts';
import { type NanoUsd, nano, type Rate } from '../../src/domain/money.ts';
import { quirksOf } from '../../src/domain/quirks.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Database } from './database.ts';
import type { Chance } from './random.ts';

/** A tenant as a run begins with it. */
export interface SimulatedTenant {
  readonly id: TenantId;
  readonly secret: string;
  readonly apiKeyId: ApiKeyId;
  readonly timeZone: string;
  readonly opening: NanoUsd;
  readonly creditLimit: NanoUsd;
  readonly dailyQuota: number | null;
  readonly monthlyQuota: number | null;
  readonly rpmLimit: number | null;
  readonly tpmLimit: number | null;
  readonly multiplierPpm: bigint;
  readonly streamMayOverdraw: boolean;
  readonly answerMayOverdraw: boolean;
}

/** Odd enough that nearly every charge has to be rounded. */
export const inputRate = 1_234_567_891n;
export const outputRate = 2_345_678_917n;
export const modelName = 'sim-model';
const mostOutputTokens = 1_200;

/** Where days end at other times, and some are longer than others. */
const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Pacific/Auckland',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
] as const;

/** Where and when a day, a month or both end, some of them shortly before clocks step. */
const midnights = [
  { zone: 'Europe/Berlin', at: '2026-10-24T22:00:00Z' },
  { zone: 'America/New_York', at: '2026-11-01T04:00:00Z' },
  { zone: 'Europe/Berlin', at: '2026-11-30T23:00:00Z' },
  { zone: 'UTC', at: '2026-12-01T00:00:00Z' },
  { zone: 'Pacific/Auckland', at: '2026-12-31T11:00:00Z' },
  { zone: 'Europe/Berlin', at: '2027-03-27T23:00:00Z' },
  { zone: 'Asia/Kathmandu', at: '2027-03-31T18:15:00Z' },
  { zone: 'Australia/Lord_Howe', at: '2027-04-03T13:00:00Z' },
] as const;

/** When a run begins, and the zone whose midnight may fall into it. */
export interface Start {
  readonly atMs: number;
  readonly zone: (typeof zones)[number];
}

export function startOf(chance: Chance): Start {
  const { zone, at } = chance.pick(midnights);
  return { zone, atMs: Date.parse(at) - chance.between(0, chance.pick([10_000, 60_000, 7_200_000])) };
}

export function makeTenants(chance: Chance, start: Start): readonly SimulatedTenant[] {
  const count = chance.whole(1, 3);
  return Array.from({ length: count }, (_, index): SimulatedTenant => {
    const isPoor = chance.happens(0.3);
    return {
      id: `tenant-${index}` as TenantId,
      secret: `tg_tenant-${index}`,
      apiKeyId: `key-${index}` as ApiKeyId,
      timeZone: chance.happens(0.5) ? start.zone : chance.pick(zones),
      opening: nano(BigInt(chance.whole(1, isPoor ? 20_000_000 : 500_000_000))),
      creditLimit: nano(chance.happens(0.3) ? BigInt(chance.whole(0, 5_000_000)) : 0n),
      dailyQuota: chance.happens(0.2) ? chance.whole(2, 12) : null,
      monthlyQuota: chance.happens(0.2) ? chance.whole(3, 15) : null,
      rpmLimit: chance.happens(0.15) ? chance.whole(2, 8) : null,
      tpmLimit: chance.happens(0.2) ? chance.whole(2_000, 8_000) : null,
      multiplierPpm: chance.pick([1_000_000n, 950_001n, 1_333_333n]),
      streamMayOverdraw: chance.happens(0.5),
      answerMayOverdraw: chance.happens(0.2),
    };
  });
}

/** Writes the tenants and their opening balances. */
export async function openAccounts(
  tenants: readonly SimulatedTenant[],
  database: Database,
  ledger: Ledger,
): Promise<void> {
  for (const tenant of tenants) {
    await database.query('INSERT INTO tenant (tenant_id, name) VALUES ($1, $1)', [tenant.id]);
    await database.query(
      `INSERT INTO tenant_quota (
        tenant_id, currency, time_zone, credit_limit, daily_quota, monthly_quota, rpm_limit, tpm_limit,
        rate_multiplier_ppm, stream_allow_negative, allow_negative
      ) VALUES ($1, 'USD', $2, $3::numeric / 1000000000, $4, $5, $6, $7, $8, $9, $10)`,
      [
        tenant.id,
        tenant.timeZone,
        tenant.creditLimit.toString(),
        tenant.dailyQuota,
        tenant.monthlyQuota,
        tenant.rpmLimit,
        tenant.tpmLimit,
        tenant.multiplierPpm.toString(),
        tenant.streamMayOverdraw,
        tenant.answerMayOverdraw,
      ],
    );
    await ledger.credit({
      id: `00000000-0000-7000-8000-${tenant.id.slice(-1).padStart(12, '0')}` as TransactionId,
      tenantId: tenant.id,
      traceId: 'opening' as TraceId,
      requestHash: hashRequest('opening'),
      type: 'TOPUP',
      amount: tenant.opening,
      description: null,
    });
  }
}

/** One model on two upstreams, and what each tenant agreed to: nothing of it changes in a run. */
export function catalogOf(
  tenants: readonly SimulatedTenant[],
  whenClientGone: 'cancel' | 'drain',
  startsAtMs: number,
): Catalog {
  const createdAt = new Date(startsAtMs);
  const credentials = new Map(
    tenants.map((tenant) => [hashSecret(tenant.secret), credentialsOf(tenant, createdAt)]),
  );
  const targets = ['one', 'two'].map((name, priority) => ({
    route: {
      upstreamId: name as UpstreamId,
      upstreamModel: 'model',
      weight: 1,
      priority,
      whenClientGone,
      costRates: null,
    },
    upstream: {
      id: name as UpstreamId,
      provider: 'sim',
      dialects: ['openai.chat'],
      baseUrl: `http://${name}`,
      credential: null,
      headersTimeoutMs: 4_000,
      idleTimeoutMs: 5_000,
      quirkOverrides: {},
      quirks: quirksOf('sim'),
      createdAt,
    },
  }));
  const rates = { input: inputRate as Rate, output: outputRate as Rate };
  const model: ServedModel = {
    name: modelName,
    routes: targets.map(({ route }) => route),
    targets,
    rateCards: [{ effectiveFromMs: 0, rates }],
    maxInputTokens: null,
    maxOutputTokens: mostOutputTokens,
    createdAt,
  };
  return {
    findApiKey: async (hash) => credentials.get(hash),
    findModel: async (name) => (name === modelName ? model : undefined),
    findPrice: async () => undefined,
    listModels: async () => [model],
  };
}

function credentialsOf(tenant: SimulatedTenant, createdAt: Date): Credentials {
  const terms: TenantTerms = {
    currency: 'USD',
    rateMultiplierPpm: tenant.multiplierPpm,
    maxOpenRequests: null,
    blockOnInsufficient: null,
    allowNegative: tenant.answerMayOverdraw,
    streamAllowNegative: tenant.streamMayOverdraw,
  };
  const apiKey: ApiKey = {
    id: tenant.apiKeyId,
    tenantId: tenant.id,
    name: 'simulated',
    prefix: 'tg_',
    ...unlimitedApiKey,
    revokedAt: null,
    createdAt,
  };
  return { apiKey, terms };
}
