import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestPlane, type TestPlane } from '../../test/support/admin-plane.ts';
import type { CatalogStore } from '../catalog/catalog.ts';
import type { Rate } from '../domain/money.ts';
import { withBuiltInPrices } from '../prices/price-book.ts';
import { setUpProvider } from './providers.ts';
import { anthropicModels, geminiModels, openAiModels } from './served-models.ts';

const nowMs = Date.parse('2026-11-23T12:00:00Z');
const namesOf = (models: readonly { readonly name: string }[]) => models.map(({ name }) => name);

describe('the models that are served first', () => {
  it('are OpenAI’s current ones for the endpoints that there are, newer than the tokenizer’s list included', () => {
    const names = namesOf(openAiModels(nowMs));
    expect(names).toEqual(
      expect.arrayContaining([
        'gpt-4o-mini',
        'gpt-5.1-codex',
        'text-embedding-3-small',
        'davinci-002',
        'gpt-6-sol',
      ]),
    );
    for (const name of [
      'default',
      'gpt-realtime',
      'whisper-1',
      'gpt-image-1',
      'text-davinci-003',
      'gpt-oss-20b',
    ]) {
      expect(names).not.toContain(name);
    }
    expect(new Set(names).size).toBe(names.length);
  });

  it('are Anthropic’s since Claude 4 and Gemini since 2.5', () => {
    const claude = namesOf(anthropicModels(nowMs));
    expect(claude).toEqual(
      expect.arrayContaining(['claude-sonnet-4-5', 'claude-haiku-4-5', 'claude-opus-5']),
    );
    expect(claude.filter((name) => /claude-[123v]/.test(name))).toEqual([]);
    const gemini = geminiModels(nowMs);
    expect(namesOf(gemini)).toEqual(expect.arrayContaining(['gemini-2.5-pro', 'gemini-3-flash-preview']));
    expect(namesOf(gemini).filter((name) => /1\.5|2\.0|live|tts|embedding|claude|gemma/.test(name))).toEqual(
      [],
    );
    expect(gemini.every(({ maxOutputTokens }) => maxOutputTokens === 65_536)).toBe(true);
  });
});

describe('setting up a provider', () => {
  let plane: TestPlane;
  let catalog: CatalogStore;

  beforeAll(async () => {
    plane = await openTestPlane();
    plane.time.nowMs = nowMs;
    catalog = withBuiltInPrices(plane.store, { now: () => nowMs, monotonic: () => 0 });
  });

  afterAll(() => plane.close());

  const anthropicUpstream = async () => (await catalog.listUpstreams()).find(({ id }) => id === 'anthropic')!;
  const anthropic = { name: 'anthropic', baseUrl: 'https://api.anthropic.com' } as const;

  it('serves its models at the price book’s price, with no price and no key stored', async () => {
    const gemini = { name: 'gemini', baseUrl: 'https://generativelanguage.googleapis.com' } as const;
    const { served, left } = await setUpProvider(catalog, gemini, nowMs);
    expect(left).toEqual([]);
    const models = (await catalog.listModels()).filter(({ routes }) => routes[0]?.upstreamId === 'gemini');
    expect(namesOf(models)).toEqual([...served].sort());
    for (const { rateCards, maxInputTokens } of models) {
      expect([rateCards, maxInputTokens]).toEqual([[], null]);
    }
    expect((await catalog.listUpstreams()).find(({ id }) => id === 'gemini')).toMatchObject({
      provider: 'gemini',
      dialects: ['gemini.generate'],
      baseUrl: 'https://generativelanguage.googleapis.com',
      credential: 'env:GEMINI_API_KEY',
    });
  });

  it('changes nothing at the next start that an admin changed since', async () => {
    await setUpProvider(catalog, anthropic, nowMs);
    const model = (await catalog.findModel('claude-opus-5'))!;
    const rateCard = { effectiveFromMs: 0, rates: { input: 1n as Rate, output: 2n as Rate } };
    const audit = { actor: 'ada', action: 'model.put', subject: model.name, detail: {} };
    await catalog.putModel({ ...model, rateCard }, audit);
    const upstream = await anthropicUpstream();
    await catalog.putUpstream({ ...upstream, idleTimeoutMs: 5_000 }, { ...audit, action: 'upstream.put' });
    const entries = (await catalog.listAudit({ limit: 200 })).length;

    await setUpProvider(catalog, anthropic, nowMs);
    expect((await catalog.findModel('claude-opus-5'))?.rateCards).toEqual([rateCard]);
    expect((await anthropicUpstream()).idleTimeoutMs).toBe(5_000);
    expect((await catalog.listAudit({ limit: 200 })).length).toBe(entries);

    await setUpProvider(catalog, { ...anthropic, baseUrl: 'http://localhost:1' }, nowMs);
    expect(await anthropicUpstream()).toMatchObject({
      baseUrl: 'http://localhost:1',
      idleTimeoutMs: 5_000,
    });
  });

  it('leaves out what nobody has a price of, until somebody imports one', async () => {
    const openai = { name: 'openai', baseUrl: 'https://api.openai.com/v1' } as const;
    const { left } = await setUpProvider(catalog, openai, nowMs);
    const [unpriced] = left;
    expect(unpriced).toBeDefined();
    expect(await catalog.findModel(unpriced!)).toBeUndefined();
    const prices = { rates: { input: 1n as Rate, output: 2n as Rate } };
    const price = {
      provider: 'openai',
      model: unpriced!,
      prices,
      maxInputTokens: null,
      maxOutputTokens: null,
    };
    const audit = { actor: 'ada', action: 'price.import', subject: 'x', detail: {} };
    await catalog.putPrices([{ ...price, source: 'x' }], audit);
    expect((await setUpProvider(catalog, openai, nowMs)).left).not.toContain(unpriced);
    expect(await catalog.findModel(unpriced!)).toBeDefined();
  });
});
