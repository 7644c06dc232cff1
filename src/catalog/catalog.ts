import type { ApiKeyId, SecretHash, TenantId, UpstreamId } from '../domain/ids.ts';
import type { PriceList, RateCard } from '../domain/pricing.ts';
import type { QuirkOverrides, Quirks } from '../domain/quirks.ts';
import type { Soon } from '../domain/soon.ts';

/** A wire format, as DESIGN.md section 2 names them: those that there are stand in `dialects/dialects.ts`. */
export type DialectName = string;

export interface Tenant {
  readonly id: TenantId;
  readonly name: string;
  readonly createdAt: Date;
}

/** What pricing needs to know of a tenant before its quota is asked. */
export interface TenantTerms {
  readonly currency: string;
  /** What the tenant pays of the listed price, in parts per million. */
  readonly rateMultiplierPpm: bigint;
  /** Requests that may be open at once; null is unlimited. */
  readonly maxOpenRequests: number | null;
  /** Null: as the environment says, for each of these. */
  readonly blockOnInsufficient: boolean | null;
  readonly allowNegative: boolean | null;
  readonly streamAllowNegative: boolean | null;
}

/** An API key together with the terms of the tenant that pays for its requests. */
export interface Credentials {
  readonly apiKey: ApiKey;
  readonly terms: TenantTerms;
}

export interface ApiKey {
  readonly id: ApiKeyId;
  readonly tenantId: TenantId;
  readonly name: string;
  /** The first characters of the secret, to tell API keys apart. */
  readonly prefix: string;
  /** Public model names it may use; null permits all. */
  readonly models: readonly string[] | null;
  readonly expiresAt: Date | null;
  /** Requests and tokens a minute, and requests that may be open at once; null is unlimited. */
  readonly rpmLimit: number | null;
  readonly tpmLimit: number | null;
  readonly maxOpenRequests: number | null;
  /** In CIDR notation, from which it may be used; null permits all. */
  readonly allowedNetworks: readonly string[] | null;
  readonly revokedAt: Date | null;
  readonly createdAt: Date;
}

export interface Upstream {
  readonly id: UpstreamId;
  /** Selects known quirks; a name that isn't known has none. */
  readonly provider: string;
  readonly dialects: readonly DialectName[];
  /** As the provider's own SDK takes it, without a slash at the end. */
  readonly baseUrl: string;
  /** The provider's secret; null where it wants none. Never leaves the gateway but to the provider. */
  readonly credential: string | null;
  /** How long to wait for the response's headers. */
  readonly headersTimeoutMs: number;
  /** How long the response may pause between two reads. */
  readonly idleTimeoutMs: number;
  /** What its admin set of the quirks, in place of what is known of the provider. */
  readonly quirkOverrides: QuirkOverrides;
  /** In what it differs from the wire format's own provider. */
  readonly quirks: Quirks;
  readonly createdAt: Date;
}

/** What happens upstream when the client hangs up. */
export const clientGonePolicies = ['cancel', 'drain'] as const;
export type ClientGonePolicy = (typeof clientGonePolicies)[number];

export interface Route {
  readonly upstreamId: UpstreamId;
  /** The upstream's own name of the model. */
  readonly upstreamModel: string;
  /** Share of the requests among routes of one priority. */
  readonly weight: number;
  /** Smaller is tried first. */
  readonly priority: number;
  readonly whenClientGone: ClientGonePolicy;
  /** What the provider charges us on this route; null: what the price book says, if it knows. */
  readonly costRates: PriceList | null;
}

export interface Model {
  readonly name: string;
  readonly routes: readonly Route[];
  /** By `effectiveFromMs`; where none is in force, the price book's price of the first route counts. */
  readonly rateCards: readonly RateCard[];
  /** The longest prompt that is served, in tokens: beyond it the rate cards don't hold; null is any. */
  readonly maxInputTokens: number | null;
  /** The most output tokens the model can produce; null is unknown. */
  readonly maxOutputTokens: number | null;
  readonly createdAt: Date;
}

/** A model as it can be called: each route with its upstream. */
export interface ServedModel extends Model {
  readonly targets: readonly Target[];
}

export interface Target {
  readonly route: Route;
  readonly upstream: Upstream;
}

/** A price that somebody published, and what else the price book knows of the model. */
export interface BookPrice {
  readonly prices: PriceList;
  readonly maxInputTokens: number | null;
  readonly maxOutputTokens: number | null;
  /** Where the price is from, for instance "genai-prices" or "litellm". */
  readonly source: string;
}

/** A price that was imported into the price book. */
export interface PublishedPrice extends BookPrice {
  readonly provider: string;
  /** The provider's own name of it. */
  readonly model: string;
}

/** What the data plane reads. Answers may be as old as the cache's bound, and those from it are there at once. */
export interface Catalog {
  findApiKey(secretHash: SecretHash): Soon<Credentials | undefined>;
  findModel(name: string): Soon<ServedModel | undefined>;
  /** The price book's price of a provider's model; undefined where it has none. */
  findPrice(provider: string, model: string): Soon<BookPrice | undefined>;
  /** Every model, by name. */
  listModels(): Promise<readonly ServedModel[]>;
}

/** The price book's price of the model's first route, whichever route a request takes: one model, one price. */
export function bookPriceOf({ targets }: ServedModel, catalog: Catalog): Soon<BookPrice | undefined> {
  let first = targets[0];
  if (first === undefined) return undefined;
  for (const target of targets) if (target.route.priority < first.route.priority) first = target;
  return catalog.findPrice(first.upstream.provider, first.route.upstreamModel);
}

export interface NewApiKey {
  readonly id: ApiKeyId;
  readonly tenantId: TenantId;
  readonly name: string;
  readonly secretHash: SecretHash;
  readonly prefix: string;
  readonly models: readonly string[] | null;
  readonly expiresAt: Date | null;
  readonly rpmLimit: number | null;
  readonly tpmLimit: number | null;
  readonly maxOpenRequests: number | null;
  readonly allowedNetworks: readonly string[] | null;
}

/** The limits of an API key that has none of its own. */
export const unlimitedApiKey = {
  models: null,
  expiresAt: null,
  rpmLimit: null,
  tpmLimit: null,
  maxOpenRequests: null,
  allowedNetworks: null,
} as const satisfies Partial<NewApiKey>;

/** A member that is absent stays as it is. */
export type ApiKeyChanges = Partial<Omit<NewApiKey, 'id' | 'tenantId' | 'secretHash' | 'prefix'>>;

export type NewUpstream = Omit<Upstream, 'createdAt' | 'quirks'>;

export interface NewModel {
  readonly name: string;
  readonly routes: readonly Route[];
  /** In force from now on; null keeps the cards that there are. */
  readonly rateCard: RateCard | null;
  readonly maxInputTokens: number | null;
  readonly maxOutputTokens: number | null;
}

/** Who did what to which thing: a row for each change by an admin. */
export interface AuditEntry {
  readonly actor: string;
  /** For instance "tenant.create". */
  readonly action: string;
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** An audit entry as it was recorded. */
export interface AuditRecord extends AuditEntry {
  /** Grows with each entry. */
  readonly id: string;
  readonly at: Date;
}

export interface AuditFilter {
  readonly action?: string;
  readonly subject?: string;
  /** Only entries with a smaller id: the last one of the page before. */
  readonly before?: string;
  readonly limit: number;
}

export interface UnknownUpstreams {
  readonly kind: 'unknown_upstreams';
  readonly ids: readonly UpstreamId[];
}

export interface AlreadyExists {
  readonly kind: 'already_exists';
}

/** The SQL engine doesn't know the time zone, so it could never tell the tenant's days apart. */
export interface UnknownTimeZone {
  readonly kind: 'unknown_time_zone';
}

/** What the admin plane reads and changes, never cached. Every change is durable, with its audit entry, when it resolves. */
export interface CatalogStore extends Catalog {
  findTenant(id: TenantId): Promise<Tenant | undefined>;
  /** By id; `after` is the last id of the page before. */
  listTenants(page: { readonly after?: TenantId; readonly limit: number }): Promise<readonly Tenant[]>;
  createTenant(tenant: NewTenant, audit: AuditEntry): Promise<Tenant | AlreadyExists | UnknownTimeZone>;
  /** Those that there are of them, by the hash of their secret. */
  findApiKeys(secretHashes: readonly SecretHash[]): Promise<ReadonlyMap<SecretHash, Credentials>>;
  createApiKey(apiKey: NewApiKey, audit: AuditEntry): Promise<ApiKey>;
  listApiKeys(tenantId: TenantId): Promise<readonly ApiKey[]>;
  /** Undefined where the tenant has no such API key. */
  changeApiKey(
    tenantId: TenantId,
    id: ApiKeyId,
    changes: ApiKeyChanges,
    audit: AuditEntry,
  ): Promise<ApiKey | undefined>;
  revokeApiKey(tenantId: TenantId, id: ApiKeyId, audit: AuditEntry): Promise<ApiKey | undefined>;
  /** Creates it or replaces what it was. */
  putUpstream(upstream: NewUpstream, audit: AuditEntry): Promise<Upstream>;
  listUpstreams(): Promise<readonly Upstream[]>;
  /** Creates it or replaces what it was. */
  putModel(model: NewModel, audit: AuditEntry): Promise<ServedModel | UnknownUpstreams>;
  /** Imported prices, by provider and model. */
  listPrices(): Promise<readonly PublishedPrice[]>;
  /** Adds them, or puts them in the place of those of the same provider and model. */
  putPrices(prices: readonly PublishedPrice[], audit: AuditEntry): Promise<void>;
  /** Whether the secret is an admin's; the name of its holder then. */
  findAdmin(secretHash: SecretHash): Promise<string | undefined>;
  createAdminToken(name: string, secretHash: SecretHash): Promise<void>;
  /** Creates it where there is none yet, whoever else tries at the same moment; whether this one was created. */
  createFirstAdminToken(name: string, secretHash: SecretHash): Promise<boolean>;
  /** For changes that another store made, the ledger for one. */
  recordAudit(audit: AuditEntry): Promise<void>;
  /** Unless there is an entry of this action and subject: for a repeat that can't know whether the first got so far. */
  recordAuditOnce(audit: AuditEntry): Promise<void>;
  /** Newest first. */
  listAudit(filter: AuditFilter): Promise<readonly AuditRecord[]>;
}

/** A tenant is created with a balance of zero: money comes by a top-up, so that the ledger explains all of it. */
export interface NewTenant {
  readonly id: TenantId;
  readonly name: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly creditLimit: bigint;
  readonly dailyQuota: number | null;
  readonly monthlyQuota: number | null;
  readonly rpmLimit: number | null;
  readonly tpmLimit: number | null;
  readonly rateMultiplierPpm: bigint;
  readonly maxOpenRequests: number | null;
  readonly blockOnInsufficient: boolean | null;
  readonly allowNegative: boolean | null;
  readonly streamAllowNegative: boolean | null;
  /** Percents left at which it is warned; null is the default. */
  readonly warningThresholds: readonly number[] | null;
}
