import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiKeyId, TenantId, UpstreamId } from '../domain/ids.ts';
import { hashSecret } from '../domain/ids.ts';
import { parseRate } from '../domain/money.ts';
import { rateCardAt } from '../domain/pricing.ts';
import { quirksOf } from '../domain/quirks.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openPglite } from '../ledger/drivers/pglite.ts';
import { migrate } from '../ledger/migrations/migrations.ts';
import {
  type AuditEntry,
  type CatalogStore,
  type NewApiKey,
  type NewModel,
  type NewTenant,
  type NewUpstream,
  unlimitedApiKey,
} from './catalog.ts';
import { createSqlCatalog } from './sql-catalog.ts';

let dataDir: string;
let driver: Driver;
let catalog: CatalogStore;
let nowMs = Date.parse('2026-11-23T10:00:00.000Z');
let counter = 0;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tollgate-catalog-'));
  driver = await openPglite(dataDir);
  await migrate(driver.db);
  catalog = createSqlCatalog({ db: driver.db, clock: { now: () => nowMs, monotonic: () => nowMs } });
});

afterAll(async () => {
  await driver.close();
  await rm(dataDir, { recursive: true, force: true });
});

const unique = (prefix: string) => `${prefix}-${counter++}`;

function audit(action: string, subject: string): AuditEntry {
  return { actor: 'ada', action, subject, detail: { subject } };
}

function newTenant(id: string, changes: Partial<NewTenant> = {}): NewTenant {
  return {
    id: id as TenantId,
    name: 'Acme',
    currency: 'USD',
    timeZone: 'Europe/Berlin',
    creditLimit: 1n,
    dailyQuota: 1000,
    monthlyQuota: null,
    rpmLimit: 0,
    tpmLimit: null,
    rateMultiplierPpm: 1_250_000n,
    maxOpenRequests: null,
    blockOnInsufficient: null,
    allowNegative: null,
    streamAllowNegative: null,
    warningThresholds: null,
    ...changes,
  };
}

async function tenant(): Promise<TenantId> {
  const created = newTenant(unique('tenant'));
  await catalog.createTenant(created, audit('tenant.create', created.id));
  return created.id;
}

function newApiKey(tenantId: TenantId, changes: Partial<NewApiKey> = {}): NewApiKey {
  const id = unique('key');
  return {
    id: id as ApiKeyId,
    tenantId,
    name: 'laptop',
    secretHash: hashSecret(`secret of ${id}`),
    prefix: 'tg_abc',
    ...unlimitedApiKey,
    ...changes,
  };
}

function newUpstream(id: string, changes: Partial<NewUpstream> = {}): NewUpstream {
  return {
    id: id as UpstreamId,
    provider: 'openai',
    dialects: ['openai.chat', 'openai.responses'],
    baseUrl: 'https://api.openai.com/v1',
    credential: 'sk-very-secret',
    headersTimeoutMs: 600_000,
    idleTimeoutMs: 300_000,
    quirkOverrides: {},
    ...changes,
  };
}

async function upstream(changes: Partial<NewUpstream> = {}): Promise<UpstreamId> {
  const { id } = newUpstream(unique('upstream'));
  await catalog.putUpstream(newUpstream(id, changes), audit('upstream.put', id));
  return id;
}

function newModel(name: string, upstreams: readonly UpstreamId[], input: string | null): NewModel {
  return {
    name,
    routes: upstreams.map((upstreamId, index) => ({
      upstreamId,
      upstreamModel: `theirs-${index}`,
      weight: index + 1,
      priority: index,
      whenClientGone: index === 0 ? 'cancel' : 'drain',
      costRates: null,
    })),
    rateCard:
      input === null
        ? null
        : {
            effectiveFromMs: nowMs,
            rates: { input: parseRate(input, 1_000_000), output: parseRate('2', 1_000_000) },
          },
    maxInputTokens: 200_000,
    maxOutputTokens: 4096,
  };
}

async function put(model: NewModel) {
  const served = await catalog.putModel(model, audit('model.put', model.name));
  if ('kind' in served) throw new Error(`unknown upstreams ${served.ids}`);
  return served;
}

async function auditOf(subject: string): Promise<readonly string[]> {
  return (await catalog.listAudit({ subject, limit: 100 })).map((entry) => entry.action);
}

describe('tenants', () => {
  test('a tenant is created with a balance of zero, its limits and its audit entry', async () => {
    const id = unique('tenant') as TenantId;
    const created = await catalog.createTenant(newTenant(id), audit('tenant.create', id));
    expect(created).toEqual({ id, name: 'Acme', createdAt: new Date(nowMs) });
    expect(await catalog.findTenant(id)).toEqual(created);
    const [row] = await driver.query<Record<string, unknown>>(
      'SELECT * FROM tenant_quota WHERE tenant_id = $1',
      [id],
    );
    expect(row).toMatchObject({
      balance: '0.000000000',
      credit_limit: '0.000000001',
      daily_quota: '1000',
      monthly_quota: null,
      rpm_limit: '0',
      rate_multiplier_ppm: '1250000',
      time_zone: 'Europe/Berlin',
    });
    expect(await auditOf(id)).toEqual(['tenant.create']);
  });

  test('a second tenant of the same id changes nothing and leaves no audit entry', async () => {
    const id = await tenant();
    const again = await catalog.createTenant(newTenant(id, { name: 'Other' }), audit('tenant.create', id));
    expect(again).toEqual({ kind: 'already_exists' });
    expect((await catalog.findTenant(id))?.name).toBe('Acme');
    expect(await auditOf(id)).toEqual(['tenant.create']);
  });

  test('a tenant in a time zone that the engine does not know is not created', async () => {
    const id = unique('tenant') as TenantId;
    // The runtime reads it as east of Greenwich, the engine as west.
    const created = await catalog.createTenant(newTenant(id, { timeZone: '+02:00' }), audit('x', id));
    expect(created).toEqual({ kind: 'unknown_time_zone' });
    expect(await catalog.findTenant(id)).toBeUndefined();
    expect(await auditOf(id)).toEqual([]);
  });

  test('of those who create one id at once, one does', async () => {
    const id = unique('tenant');
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => catalog.createTenant(newTenant(id), audit('tenant.create', id))),
    );
    expect(answers.filter((answer) => 'kind' in answer)).toHaveLength(7);
    expect(await auditOf(id)).toEqual(['tenant.create']);
  });

  test('pages of tenants follow one another without a gap', async () => {
    for (let index = 0; index < 5; index++) await tenant();
    const all = await catalog.listTenants({ limit: 1000 });
    const paged = [];
    let after: TenantId | undefined;
    for (;;) {
      const page = await catalog.listTenants({ limit: 2, ...(after === undefined ? {} : { after }) });
      if (page.length === 0) break;
      paged.push(...page);
      after = page.at(-1)?.id;
    }
    expect(paged).toEqual(all);
  });

  test('an unknown tenant is undefined', async () => {
    expect(await catalog.findTenant('nobody' as TenantId)).toBeUndefined();
  });
});

describe('API keys', () => {
  test("an API key is found by the hash of its secret with its tenant's terms", async () => {
    const tenantId = await tenant();
    const draft = newApiKey(tenantId, {
      models: ['openai/gpt-4o', 'a "quoted", {odd} name'],
      expiresAt: new Date('2027-01-01T00:00:00.123Z'),
    });
    const created = await catalog.createApiKey(draft, audit('api_key.create', draft.id));
    const { secretHash, ...rest } = draft;
    expect(created).toEqual({ ...rest, revokedAt: null, createdAt: new Date(nowMs) });
    expect(await catalog.findApiKey(secretHash)).toEqual({
      apiKey: created,
      terms: {
        currency: 'USD',
        rateMultiplierPpm: 1_250_000n,
        maxOpenRequests: null,
        blockOnInsufficient: null,
        allowNegative: null,
        streamAllowNegative: null,
      },
    });
    expect(await catalog.listApiKeys(tenantId)).toEqual([created]);
    expect(await catalog.findApiKey(hashSecret('another'))).toBeUndefined();
  });

  test('several are found together, each with the terms of its own tenant', async () => {
    const drafts = [newApiKey(await tenant()), newApiKey(await tenant())];
    for (const draft of drafts) await catalog.createApiKey(draft, audit('api_key.create', draft.id));
    const [first, second] = drafts.map(({ secretHash }) => secretHash);
    const found = await catalog.findApiKeys([second!, hashSecret('another'), first!]);
    expect([...found.keys()].sort()).toEqual([first!, second!].sort());
    for (const { secretHash, id, tenantId } of drafts) {
      expect(found.get(secretHash)).toEqual(await catalog.findApiKey(secretHash));
      expect(found.get(secretHash)?.apiKey).toMatchObject({ id, tenantId });
    }
    expect(await catalog.findApiKeys([])).toEqual(new Map());
  });

  test('a failed change leaves neither itself nor its audit entry', async () => {
    const draft = newApiKey('no-such-tenant' as TenantId);
    await expect(catalog.createApiKey(draft, audit('api_key.create', draft.id))).rejects.toThrow();
    expect(await catalog.findApiKey(draft.secretHash)).toBeUndefined();
    expect(await auditOf(draft.id)).toEqual([]);
  });

  test('a change whose audit entry fails is not made', async () => {
    const tenantId = await tenant();
    const draft = newApiKey(tenantId);
    const broken = { ...audit('api_key.create', draft.id), actor: null as unknown as string };
    await expect(catalog.createApiKey(draft, broken)).rejects.toThrow();
    expect(await catalog.listApiKeys(tenantId)).toEqual([]);
  });

  test('revoking twice keeps the first moment and records it once', async () => {
    const tenantId = await tenant();
    const draft = newApiKey(tenantId);
    await catalog.createApiKey(draft, audit('api_key.create', draft.id));
    const revoke = () => catalog.revokeApiKey(tenantId, draft.id, audit('api_key.revoke', draft.id));
    const first = await revoke();
    expect(first?.revokedAt).toEqual(new Date(nowMs));
    nowMs += 1000;
    expect(await revoke()).toEqual(first);
    expect((await catalog.findApiKey(draft.secretHash))?.apiKey.revokedAt).toEqual(first?.revokedAt);
    expect(await auditOf(draft.id)).toEqual(['api_key.revoke', 'api_key.create']);
  });

  test("an API key can't be revoked under another tenant's id", async () => {
    const draft = newApiKey(await tenant());
    await catalog.createApiKey(draft, audit('api_key.create', draft.id));
    const other = await tenant();
    expect(await catalog.revokeApiKey(other, draft.id, audit('api_key.revoke', draft.id))).toBeUndefined();
    expect((await catalog.findApiKey(draft.secretHash))?.apiKey.revokedAt).toBeNull();
    expect(await auditOf(draft.id)).toEqual(['api_key.create']);
  });
});

describe('upstreams', () => {
  test('an upstream is replaced in every member but for when it was created', async () => {
    const id = await upstream();
    const createdAt = new Date(nowMs);
    nowMs += 1000;
    const replacement = newUpstream(id, {
      provider: 'vllm',
      dialects: ['openai.chat'],
      baseUrl: 'http://localhost:1234',
      credential: null,
      headersTimeoutMs: 1,
      idleTimeoutMs: 2,
    });
    const replaced = await catalog.putUpstream(replacement, audit('upstream.put', id));
    expect(replaced).toEqual({ ...replacement, quirks: quirksOf(replacement.provider), createdAt });
    expect((await catalog.listUpstreams()).find((one) => one.id === id)).toEqual(replaced);
    expect(await auditOf(id)).toEqual(['upstream.put', 'upstream.put']);
  });
});

describe('models', () => {
  test('a model is served by its upstreams in the order of its routes', async () => {
    const [first, second] = [await upstream({ credential: null }), await upstream()];
    const name = `openai/${unique('model')}:beta`;
    const model = newModel(name, [second, first], '1.5');
    const served = await put(model);
    expect(served).toMatchObject({ name, maxOutputTokens: 4096, createdAt: new Date(nowMs) });
    expect(served.routes).toEqual(model.routes);
    expect(served.targets.map((target) => target.upstream.id)).toEqual([second, first]);
    expect(served.targets[0]?.upstream).toEqual({
      ...newUpstream(second),
      quirks: quirksOf('openai'),
      createdAt: new Date(nowMs),
    });
    expect(served.rateCards).toEqual([model.rateCard]);
    expect(await catalog.findModel(name)).toEqual(served);
    expect((await catalog.listModels()).find((one) => one.name === name)).toEqual(served);
  });

  test('unknown upstreams are named and nothing is written', async () => {
    const name = unique('model');
    const known = await upstream();
    const model = newModel(name, [known, 'ghost' as UpstreamId, 'phantom' as UpstreamId], '1');
    expect(await catalog.putModel(model, audit('model.put', name))).toEqual({
      kind: 'unknown_upstreams',
      ids: ['ghost', 'phantom'],
    });
    expect(await catalog.findModel(name)).toBeUndefined();
    expect(await auditOf(name)).toEqual([]);
  });

  test('without a rate card the cards that there are stay', async () => {
    const name = unique('model');
    const { rateCards } = await put(newModel(name, [await upstream()], '1'));
    nowMs += 1000;
    const replaced = await put({ ...newModel(name, [await upstream()], null), maxOutputTokens: null });
    expect(replaced.rateCards).toEqual(rateCards);
    expect(replaced.maxOutputTokens).toBeNull();
    expect(replaced.routes).toHaveLength(1);
  });

  test('of prices put within one millisecond the last is in force at once', async () => {
    const name = unique('model');
    const upstreamId = await upstream();
    for (const input of ['1', '2', '3', '2']) await put(newModel(name, [upstreamId], input));
    const served = await catalog.findModel(name);
    const inputs = served?.rateCards.map((card) => card.rates.input);
    expect(inputs).toEqual(['1', '2', '3', '2'].map((input) => parseRate(input, 1_000_000)));
    expect(rateCardAt(served?.rateCards ?? [], nowMs)?.rates.input).toBe(parseRate('2', 1_000_000));
  });

  test('prices put at the same moment by several admins are all kept, each once', async () => {
    const name = unique('model');
    const upstreamId = await upstream();
    const inputs = ['1', '2', '3', '4', '5', '6'];
    await Promise.all(inputs.map((input) => put(newModel(name, [upstreamId], input))));
    const served = await catalog.findModel(name);
    expect(new Set(served?.rateCards.map((card) => card.rates.input)).size).toBe(inputs.length);
  });

  test('a newer price outlasts an older one when the clock stepped back in between', async () => {
    const name = unique('model');
    const upstreamId = await upstream();
    await put(newModel(name, [upstreamId], '1'));
    nowMs -= 60_000;
    await put(newModel(name, [upstreamId], '2'));
    nowMs += 60_000;
    const served = await catalog.findModel(name);
    expect(rateCardAt(served?.rateCards ?? [], nowMs)?.rates.input).toBe(parseRate('2', 1_000_000));
  });

  test('a card announced for later waits for its day, and one put meanwhile counts until then', async () => {
    const name = unique('model');
    const upstreams = [await upstream()];
    await put(newModel(name, upstreams, '1'));
    const later = nowMs + 86_400_000;
    const announced = newModel(name, upstreams, '3');
    await put({ ...announced, rateCard: { ...announced.rateCard!, effectiveFromMs: later } });
    nowMs += 1000;
    const served = await put(newModel(name, upstreams, '2'));
    const at = (ms: number) => rateCardAt(served.rateCards, ms)?.rates.input;
    expect(at(nowMs - 1)).toBe(parseRate('1', 1_000_000));
    expect(at(nowMs)).toBe(parseRate('2', 1_000_000));
    expect(at(later - 1)).toBe(parseRate('2', 1_000_000));
    expect(at(later)).toBe(parseRate('3', 1_000_000));
  });

  test('the same prices again add no card', async () => {
    const name = unique('model');
    const upstreamId = await upstream();
    await put(newModel(name, [upstreamId], '1'));
    nowMs += 1000;
    expect((await put(newModel(name, [upstreamId], '1'))).rateCards).toHaveLength(1);
  });

  test('rates beyond 2^53 come back exact', async () => {
    const name = unique('model');
    const input = '99999999999999999.999999999';
    const served = await put(newModel(name, [await upstream()], input));
    expect(served.rateCards[0]?.rates.input).toBe(99999999999999999999999999n);
  });
});

describe('admins and audit', () => {
  test('the first admin token is created once, and none after another', async () => {
    const [first, second] = [hashSecret(unique('tga')), hashSecret(unique('tga'))];
    expect(await catalog.createFirstAdminToken('first start', first)).toBe(true);
    expect(await catalog.createFirstAdminToken('first start', second)).toBe(false);
    expect(await catalog.findAdmin(first)).toBe('first start');
    expect(await catalog.findAdmin(second)).toBeUndefined();
    expect(await auditOf('first start')).toEqual(['admin_token.create']);
  });

  test('an admin is known by the hash of the token; the same token again changes nothing', async () => {
    const secretHash = hashSecret(unique('tga'));
    expect(await catalog.findAdmin(secretHash)).toBeUndefined();
    await catalog.createAdminToken('grace', secretHash);
    await catalog.createAdminToken('mallory', secretHash);
    expect(await catalog.findAdmin(secretHash)).toBe('grace');
  });

  test('an audit entry is recorded once where that is asked for', async () => {
    const subject = unique('transaction');
    for (let index = 0; index < 3; index++) await catalog.recordAuditOnce(audit('tenant.top_up', subject));
    await catalog.recordAuditOnce(audit('transaction.reverse', subject));
    expect(await auditOf(subject)).toEqual(['transaction.reverse', 'tenant.top_up']);
  });

  test('audit entries are listed newest first, page by page', async () => {
    const subject = unique('subject');
    for (const action of ['a', 'b', 'c']) await catalog.recordAudit(audit(action, subject));
    const [newest] = await catalog.listAudit({ subject, limit: 1 });
    expect(newest).toMatchObject({ actor: 'ada', action: 'c', detail: { subject }, at: new Date(nowMs) });
    const rest = await catalog.listAudit({ subject, before: newest!.id, limit: 10 });
    expect(rest.map((entry) => entry.action)).toEqual(['b', 'a']);
    expect(await catalog.listAudit({ subject, action: 'a', limit: 10 })).toHaveLength(1);
  });

  test('no audit entry of an upstream holds its credential', async () => {
    const entries = await catalog.listAudit({ action: 'upstream.put', limit: 1000 });
    expect(entries.length).toBeGreaterThan(0);
    expect(JSON.stringify(entries)).not.toContain('sk-very-secret');
  });
});
