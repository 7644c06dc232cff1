import type { Clock } from '../domain/clock.ts';
import type { SecretHash } from '../domain/ids.ts';
import type { Soon } from '../domain/soon.ts';
import type { BookPrice, Catalog, CatalogStore, Credentials, ServedModel } from './catalog.ts';
import { LookupCache } from './lookup-cache.ts';
import { LookupGate } from './lookup-gate.ts';

export interface CachedCatalogOptions {
  readonly store: Omit<Catalog, 'findApiKey'> & Pick<CatalogStore, 'findAdmin' | 'findApiKeys'>;
  readonly clock: Clock;
  /** The net below `invalidate`: what another process changes is seen after this long. */
  readonly maxAgeMs: number;
  readonly maxApiKeys: number;
}

export interface CachedCatalog extends Catalog, Pick<CatalogStore, 'findAdmin'> {
  /** Whoever asks from now on gets an answer that was read after now. */
  invalidate(): void;
}

/** In no id of a provider. */
const nameSeparator = '\n';

/** Short, for what doesn't exist may be created by another process at any moment. */
const maxAgeMissingMs = 2_000;
const maxMissing = 10_000;
const maxModels = 10_000;
const maxPrices = 10_000;
const maxAdmins = 1_000;
/** A statement for so many takes two to three times as long as for one. */
const apiKeysTogether = 64;

/** What there are few of is looked up one at a time. */
function alone<Name extends string, Value extends object>(find: (name: Name) => Soon<Value | undefined>) {
  return {
    mostTogether: 1,
    find: async ([name]: readonly Name[]): Promise<ReadonlyMap<Name, Value>> => {
      const value = name === undefined ? undefined : await find(name);
      return name === undefined || value === undefined ? new Map() : new Map([[name, value]]);
    },
  };
}

/**
 * The catalogue from memory. Whether an API key has expired or was revoked is for the reader to
 * decide, at the moment of each request.
 */
export function createCachedCatalog({
  store,
  clock,
  maxAgeMs,
  maxApiKeys,
}: CachedCatalogOptions): CachedCatalog {
  const bounds = { clock, maxAgeMs, maxAgeMissingMs: Math.min(maxAgeMs, maxAgeMissingMs), maxMissing };
  // A gate each, so that a flood of unknown secrets keeps nobody from a model, nor admins out.
  const newGate = () => new LookupGate({ maxRunning: 8, maxWaiting: 1_000 });
  const modelGate = newGate();
  const apiKeys = new LookupCache<SecretHash, Credentials>({
    ...bounds,
    find: (secretHashes) => store.findApiKeys(secretHashes),
    mostTogether: apiKeysTogether,
    gate: newGate(),
    maxFound: maxApiKeys,
  });
  const models = new LookupCache<string, ServedModel>({
    ...bounds,
    ...alone((name: string) => store.findModel(name)),
    gate: modelGate,
    maxFound: maxModels,
  });
  const lists = new LookupCache<'all', readonly ServedModel[]>({
    ...bounds,
    ...alone((_: 'all') => store.listModels()),
    gate: modelGate,
    maxFound: 1,
  });
  const prices = new LookupCache<string, BookPrice>({
    ...bounds,
    // A model without a published price is the normal case, and an import invalidates.
    maxAgeMissingMs: maxAgeMs,
    ...alone((name: string) => {
      const end = name.indexOf(nameSeparator);
      return store.findPrice(name.slice(0, end), name.slice(end + 1));
    }),
    gate: modelGate,
    maxFound: maxPrices,
  });
  const admins = new LookupCache<SecretHash, { readonly name: string }>({
    ...bounds,
    ...alone(async (secretHash: SecretHash) => {
      const name = await store.findAdmin(secretHash);
      return name === undefined ? undefined : { name };
    }),
    gate: newGate(),
    maxFound: maxAdmins,
  });
  return {
    findApiKey: (secretHash) => apiKeys.get(secretHash),
    findModel: (name) => models.get(name),
    listModels: async () => (await lists.get('all')) ?? [],
    findPrice: (provider, model) => prices.get(`${provider}${nameSeparator}${model}`),
    findAdmin: async (secretHash) => (await admins.get(secretHash))?.name,
    invalidate: () => {
      for (const cache of [apiKeys, models, lists, prices, admins]) cache.clear();
    },
  };
}
