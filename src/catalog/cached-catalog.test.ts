import { beforeEach, describe, expect, test } from 'vitest';
import { type ApiKeyId, hashSecret, type SecretHash, type TenantId } from '../domain/ids.ts';
import { type CachedCatalog, createCachedCatalog } from './cached-catalog.ts';
import type { Catalog, Credentials, ServedModel } from './catalog.ts';

/** A store whose answers the test holds back, so that it decides what happens in between. */
class HeldStore implements Catalog {
  readonly apiKeys = new Map<SecretHash, Credentials>();
  readonly models = new Map<string, ServedModel>();
  readonly admins = new Map<SecretHash, string>();
  lookups = 0;
  running = 0;
  mostRunning = 0;
  held: Promise<void> = Promise.resolve();
  failure: Error | null = null;

  findApiKey(secretHash: SecretHash) {
    return this.#answer(this.apiKeys.get(secretHash));
  }
  findModel(name: string) {
    return this.#answer(this.models.get(name));
  }
  findAdmin(secretHash: SecretHash) {
    return this.#answer(this.admins.get(secretHash));
  }
  findPrice() {
    return this.#answer(undefined);
  }
  listModels() {
    return this.#answer([...this.models.values()]);
  }

  async #answer<T>(value: T): Promise<T> {
    this.lookups++;
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    await this.held;
    this.running--;
    if (this.failure !== null) throw this.failure;
    return value;
  }
}

let store: HeldStore;
let catalog: CachedCatalog;
let nowMs: number;

beforeEach(() => {
  store = new HeldStore();
  nowMs = 1_000_000;
  const clock = { now: () => 0, monotonic: () => nowMs };
  catalog = createCachedCatalog({ store, clock, maxAgeMs: 60_000, maxApiKeys: 3 });
});

function credentials(name: string, revokedAt: Date | null = null): Credentials {
  const apiKey = {
    id: name as ApiKeyId,
    tenantId: 'acme' as TenantId,
    name,
    prefix: 'tg_',
    models: null,
    expiresAt: null,
    rpmLimit: null,
    tpmLimit: null,
    maxOpenRequests: null,
    allowedNetworks: null,
    revokedAt,
    createdAt: new Date(0),
  };
  const unlimited = {
    maxOpenRequests: null,
    blockOnInsufficient: null,
    allowNegative: null,
    streamAllowNegative: null,
  };
  return { apiKey, terms: { currency: 'USD', rateMultiplierPpm: 1_000_000n, ...unlimited } };
}

function add(name: string): SecretHash {
  const secretHash = hashSecret(name);
  store.apiKeys.set(secretHash, credentials(name));
  return secretHash;
}

function model(name: string): ServedModel {
  return {
    name,
    routes: [],
    rateCards: [],
    maxInputTokens: null,
    maxOutputTokens: null,
    createdAt: new Date(0),
    targets: [],
  };
}

describe('answers', () => {
  test('what was found is asked for once within its age, then again', async () => {
    const secretHash = add('laptop');
    for (let index = 0; index < 3; index++)
      expect((await catalog.findApiKey(secretHash))?.apiKey.id).toBe('laptop');
    expect(store.lookups).toBe(1);
    nowMs += 59_999;
    await catalog.findApiKey(secretHash);
    expect(store.lookups).toBe(1);
    nowMs += 1;
    await catalog.findApiKey(secretHash);
    expect(store.lookups).toBe(2);
  });

  test('that there is none is remembered for a shorter time', async () => {
    const secretHash = hashSecret('unknown');
    expect(await catalog.findApiKey(secretHash)).toBeUndefined();
    expect(await catalog.findApiKey(secretHash)).toBeUndefined();
    expect(store.lookups).toBe(1);
    add('unknown');
    nowMs += 2_000;
    expect((await catalog.findApiKey(secretHash))?.apiKey.id).toBe('unknown');
  });

  test('what vanished is no longer answered once its age is over', async () => {
    const secretHash = add('laptop');
    await catalog.findApiKey(secretHash);
    store.apiKeys.clear();
    nowMs += 60_000;
    expect(await catalog.findApiKey(secretHash)).toBeUndefined();
    expect(await catalog.findApiKey(secretHash)).toBeUndefined();
    expect(store.lookups).toBe(2);
  });

  test('models are remembered by name, those that are missing included, and as a list', async () => {
    store.models.set('gpt', model('gpt'));
    for (let index = 0; index < 2; index++) {
      expect((await catalog.findModel('gpt'))?.name).toBe('gpt');
      expect(await catalog.findModel('none')).toBeUndefined();
      expect(await catalog.listModels()).toHaveLength(1);
    }
    expect(store.lookups).toBe(3);
  });

  test('admins are remembered by their token, those who are none included', async () => {
    store.admins.set(hashSecret('tga_1'), 'ada');
    for (let index = 0; index < 2; index++) {
      expect(await catalog.findAdmin(hashSecret('tga_1'))).toBe('ada');
      expect(await catalog.findAdmin(hashSecret('tga_2'))).toBeUndefined();
    }
    expect(store.lookups).toBe(2);
  });

  test('a failure is thrown to everyone who waits and is not remembered', async () => {
    const secretHash = add('laptop');
    store.failure = new Error('the ledger is away');
    const both = await Promise.allSettled([catalog.findApiKey(secretHash), catalog.findApiKey(secretHash)]);
    expect(both.map((one) => one.status)).toEqual(['rejected', 'rejected']);
    store.failure = null;
    expect((await catalog.findApiKey(secretHash))?.apiKey.id).toBe('laptop');
  });
});

describe('bounds', () => {
  test('those who ask for the same at once share one lookup', async () => {
    const secretHash = add('laptop');
    const answers = await Promise.all(Array.from({ length: 100 }, () => catalog.findApiKey(secretHash)));
    expect(answers.every((answer) => answer?.apiKey.id === 'laptop')).toBe(true);
    expect(store.lookups).toBe(1);
  });

  test('the API key used least recently makes room', async () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(add);
    for (const secretHash of [a!, b!, c!, a!, d!]) await catalog.findApiKey(secretHash);
    expect(store.lookups).toBe(4);
    await catalog.findApiKey(a!);
    expect(store.lookups).toBe(4);
    await catalog.findApiKey(b!);
    expect(store.lookups).toBe(5);
  });

  test('a flood of unknown secrets evicts no API key', async () => {
    const secretHash = add('laptop');
    await catalog.findApiKey(secretHash);
    for (let index = 0; index < 15_000; index++) await catalog.findApiKey(hashSecret(`flood ${index}`));
    const before = store.lookups;
    await catalog.findApiKey(secretHash);
    expect(store.lookups).toBe(before);
  });

  test('a flood of unknown secrets reaches the store a few at a time, and is refused beyond a bound', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    store.held = promise;
    const flood = Array.from({ length: 5_000 }, (_, index) =>
      catalog.findApiKey(hashSecret(`flood ${index}`)),
    );
    const settled = Promise.allSettled(flood);
    store.models.set('gpt', model('gpt'));
    const other = catalog.findModel('gpt');
    resolve();
    const refused = (await settled).filter((one) => one.status === 'rejected');
    expect(refused).toHaveLength(5_000 - 8 - 1_000);
    expect(refused.every((one) => one.reason.code === 'OVERLOADED')).toBe(true);
    expect(store.mostRunning).toBeLessThanOrEqual(9);
    expect((await other)?.name).toBe('gpt');
    expect(await catalog.findApiKey(hashSecret('after the flood'))).toBeUndefined();
  });
});

describe('invalidation', () => {
  test('after an invalidation everything is asked for again', async () => {
    const secretHash = add('laptop');
    store.models.set('gpt', model('gpt'));
    const askAll = () =>
      Promise.all([
        catalog.findApiKey(secretHash),
        catalog.findApiKey(hashSecret('unknown')),
        catalog.findModel('gpt'),
        catalog.listModels(),
      ]);
    await askAll();
    catalog.invalidate();
    await askAll();
    expect(store.lookups).toBe(8);
  });

  test('a lookup that was under way when all was invalidated leaves no stale answer', async () => {
    const secretHash = add('laptop');
    const { promise, resolve } = Promise.withResolvers<void>();
    store.held = promise;
    const early = catalog.findApiKey(secretHash);
    store.apiKeys.set(secretHash, credentials('laptop', new Date(1)));
    catalog.invalidate();
    store.held = Promise.resolve();
    expect((await catalog.findApiKey(secretHash))?.apiKey.revokedAt).toEqual(new Date(1));
    resolve();
    expect((await early)?.apiKey.revokedAt).toBeNull();
    expect((await catalog.findApiKey(secretHash))?.apiKey.revokedAt).toEqual(new Date(1));
    expect(store.lookups).toBe(2);
  });
});
