import { beforeEach, describe, expect, test } from 'vitest';
import { type ApiKeyId, hashSecret, type SecretHash, type TenantId } from '../domain/ids.ts';
import { type CachedCatalog, createCachedCatalog } from './cached-catalog.ts';
import type { Credentials, ServedModel } from './catalog.ts';

/** A store whose answers the test holds back, so that it decides what happens in between. */
class HeldStore {
  readonly apiKeys = new Map<SecretHash, Credentials>();
  readonly models = new Map<string, ServedModel>();
  readonly admins = new Map<SecretHash, string>();
  lookups = 0;
  running = 0;
  mostRunning = 0;
  held: Promise<void> = Promise.resolve();
  failure: Error | null = null;

  /** How many API keys each lookup was for. */
  readonly together: number[] = [];
  findApiKeys(secretHashes: readonly SecretHash[]) {
    this.together.push(secretHashes.length);
    const found = secretHashes.flatMap((secretHash) => {
      const known = this.apiKeys.get(secretHash);
      return known === undefined ? [] : [[secretHash, known] as const];
    });
    return this.#answer(new Map(found));
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
const clock = { now: () => 0, monotonic: () => nowMs };

beforeEach(() => {
  store = new HeldStore();
  nowMs = 1_000_000;
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

/** What was looked up once stays known for so long and no longer. */
async function expectKnownFor(secretHash: SecretHash, leftMs: number): Promise<void> {
  nowMs += leftMs - 1;
  await catalog.findApiKey(secretHash);
  expect(store.lookups).toBe(1);
  nowMs += 1;
  await catalog.findApiKey(secretHash);
  expect(store.lookups).toBe(2);
}

describe('answers', () => {
  test('what was found is asked for once within its age, then again', async () => {
    const secretHash = add('laptop');
    for (let index = 0; index < 3; index++)
      expect((await catalog.findApiKey(secretHash))?.apiKey.id).toBe('laptop');
    expect(store.lookups).toBe(1);
    await expectKnownFor(secretHash, 60_000);
  });

  test('what was found is as old as the moment at which it was asked for', async () => {
    const secretHash = add('laptop');
    const { promise, resolve } = Promise.withResolvers<void>();
    store.held = promise;
    const asked = catalog.findApiKey(secretHash);
    nowMs += 30_000;
    resolve();
    await asked;
    await expectKnownFor(secretHash, 30_000);
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

describe('API keys that are in use', () => {
  const use = async (secretHashes: readonly SecretHash[]) => {
    for (const secretHash of secretHashes) await catalog.findApiKey(secretHash);
  };

  test('are looked up together once one of them is due, and nobody waits for the others', async () => {
    const all = ['a', 'b', 'c'].map(add);
    await use(all);
    nowMs += 59_999;
    await use(all);
    expect(store.together).toEqual([1, 1, 1]);
    nowMs += 1;
    await use(all);
    expect(store.together).toEqual([1, 1, 1, 3]);
    nowMs += 59_999;
    await use(all);
    expect(store.together).toEqual([1, 1, 1, 3]);
  });

  test('and those that are young are left out', async () => {
    const [due, soonDue, young] = ['due', 'soon due', 'young'].map(add);
    await use([due!]);
    nowMs += 12_000;
    await use([soonDue!]);
    nowMs += 1;
    await use([young!]);
    nowMs += 47_999;
    await use([due!]);
    expect(store.together).toEqual([1, 1, 1, 2]);
    nowMs += 12_001;
    await use([due!, soonDue!]);
    expect(store.together).toEqual([1, 1, 1, 2]);
    await use([young!]);
    expect(store.together).toEqual([1, 1, 1, 2, 1]);
  });

  test('and those that nobody asked for since the lookup before the last one are left out', async () => {
    const [due, unused] = ['due', 'unused'].map(add);
    await use([due!, unused!]);
    for (let count = 0; count < 3; count++) {
      nowMs += 60_000;
      await use([due!]);
    }
    expect(store.together).toEqual([1, 1, 2, 1, 1]);
    await use([unused!]);
    expect(store.together).toEqual([1, 1, 2, 1, 1, 1]);
  });

  test('and those that somebody asked for in between go along each time', async () => {
    const [due, used] = ['due', 'used'].map(add);
    await use([due!, used!]);
    for (let count = 0; count < 3; count++) {
      nowMs += 60_000;
      await use([due!, used!]);
    }
    expect(store.together).toEqual([1, 1, 2, 2, 2]);
  });

  test('and one that made room for others is left out', async () => {
    const [gone, ...others] = ['gone', 'a', 'b', 'c'].map(add);
    await use([gone!, ...others]);
    nowMs += 60_000;
    await use(others);
    expect(store.together).toEqual([1, 1, 1, 1, 3]);
  });

  test('and at most so many go together, the oldest first', async () => {
    const many = Array.from({ length: 70 }, (_, index) => add(`${index}`));
    const later = add('later');
    catalog = createCachedCatalog({ store, clock, maxAgeMs: 60_000, maxApiKeys: 100 });
    await use(many);
    nowMs += 10_000;
    await use([later]);
    nowMs += 50_000;
    await use([many[69]!, ...many, later]);
    expect(store.together.slice(71)).toEqual([64, 7]);
  });

  test('and one that waits for its own lookup is left out', async () => {
    const [due, waiting] = ['due', 'waiting'].map(add);
    await use([due!, waiting!]);
    const { promise, resolve } = Promise.withResolvers<void>();
    store.held = promise;
    const flood = Array.from({ length: 8 }, (_, index) => catalog.findApiKey(hashSecret(`flood ${index}`)));
    nowMs += 60_000;
    const both = [due!, waiting!].map((secretHash) => catalog.findApiKey(secretHash));
    resolve();
    await Promise.all([...flood, ...both]);
    expect(store.together.slice(2)).toEqual(Array.from({ length: 10 }, () => 1));
  });

  test('and one that is gone by then is known to be gone', async () => {
    const [due, revoked] = ['due', 'revoked'].map(add);
    await use([due!, revoked!]);
    store.apiKeys.delete(revoked!);
    nowMs += 60_000;
    await use([due!]);
    expect(store.together).toEqual([1, 1, 2]);
    expect(await catalog.findApiKey(revoked!)).toBeUndefined();
    expect(store.together).toEqual([1, 1, 2]);
  });

  test('and one that becomes too old while its lookup hangs is looked up alone', async () => {
    const [due, other] = ['due', 'other'].map(add);
    await use([due!]);
    nowMs += 1;
    await use([other!]);
    nowMs += 59_999;
    const { promise, reject } = Promise.withResolvers<void>();
    store.held = promise;
    const hanging = catalog.findApiKey(due!);
    nowMs += 1;
    store.held = Promise.resolve();
    store.apiKeys.set(other!, credentials('other', new Date(1)));
    expect((await catalog.findApiKey(other!))?.apiKey.revokedAt).toEqual(new Date(1));
    expect(store.together).toEqual([1, 1, 2, 1]);
    reject(new Error('the ledger is away'));
    await expect(hanging).rejects.toThrow('away');
    expect((await catalog.findApiKey(other!))?.apiKey.revokedAt).toEqual(new Date(1));
  });

  test('and one whose own lookup overtook the one that took it along keeps the newer answer', async () => {
    const [due, other] = ['due', 'other'].map(add);
    await use([due!, other!]);
    nowMs += 60_000;
    const slow = Promise.withResolvers<void>();
    store.held = slow.promise;
    const both = catalog.findApiKey(due!);
    store.held = Promise.resolve();
    nowMs += 1;
    store.apiKeys.set(other!, credentials('other', new Date(1)));
    await use([other!]);
    slow.resolve();
    await both;
    expect(store.together).toEqual([1, 1, 2, 1]);
    expect((await catalog.findApiKey(other!))?.apiKey.revokedAt).toEqual(new Date(1));
  });

  test('and what was invalidated meanwhile is not remembered of any of them', async () => {
    const [due, other] = ['due', 'other'].map(add);
    await use([due!, other!]);
    nowMs += 60_000;
    const { promise, resolve } = Promise.withResolvers<void>();
    store.held = promise;
    const early = catalog.findApiKey(due!);
    catalog.invalidate();
    store.apiKeys.set(other!, credentials('other', new Date(1)));
    resolve();
    await early;
    expect((await catalog.findApiKey(other!))?.apiKey.revokedAt).toEqual(new Date(1));
  });

  test('and those whose lookup fails are looked up again by whoever asks for them', async () => {
    const all = ['a', 'b'].map(add);
    await use(all);
    nowMs += 60_000;
    store.failure = new Error('the ledger is away');
    await expect(Promise.resolve(catalog.findApiKey(all[0]!))).rejects.toThrow('away');
    store.failure = null;
    await use(all);
    expect(store.together).toEqual([1, 1, 2, 1, 1]);
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
