import type { CatalogStore, DialectName, NewUpstream, Upstream } from '../catalog/catalog.ts';
import type { UpstreamId } from '../domain/ids.ts';
import { anthropicModels, type CurrentModel, geminiModels, openAiModels } from './served-models.ts';

/** Providers that are set up when the environment has their key. */
export type ProviderName = 'openai' | 'anthropic' | 'gemini';

interface Provider {
  /** As a person knows it. */
  readonly title: string;
  /** The variable with its key: only the name is stored, so the key itself never is. */
  readonly variable: string;
  readonly dialects: readonly DialectName[];
  readonly models: (nowMs: number) => readonly CurrentModel[];
}

const providers: Readonly<Record<ProviderName, Provider>> = {
  openai: {
    title: 'OpenAI',
    variable: 'OPENAI_API_KEY',
    dialects: ['openai.chat', 'openai.responses', 'openai.embeddings', 'openai.completions'],
    models: openAiModels,
  },
  anthropic: {
    title: 'Anthropic',
    variable: 'ANTHROPIC_API_KEY',
    dialects: ['anthropic.messages'],
    models: anthropicModels,
  },
  gemini: {
    title: 'Gemini',
    variable: 'GEMINI_API_KEY',
    dialects: ['gemini.generate'],
    models: geminiModels,
  },
};

export interface ServedProvider {
  readonly title: string;
  readonly served: readonly string[];
  /** Not served, because the price book has no price of theirs. */
  readonly left: readonly string[];
}

export interface ProviderSetting {
  readonly name: ProviderName;
  readonly baseUrl: string;
}

/**
 * The tokens of reasoning that isn't shown come only with the usage at the end: whoever hangs up just before
 * would get them for nothing, and the provider has generated them already. So the rest is read.
 */
const whenClientGone = 'drain';

/**
 * A provider's current models under their own names, priced by the price book: a rate card is stored for
 * none of them, so that a price that changes, on a day or with an update, counts from then on. What is
 * there already stays.
 */
export async function setUpProvider(
  catalog: CatalogStore,
  { name, baseUrl }: ProviderSetting,
  nowMs: number,
): Promise<ServedProvider> {
  const { title, variable, dialects, models } = providers[name];
  const upstreamId = name as string as UpstreamId;
  await putUpstream(catalog, { upstreamId, name, baseUrl, variable, dialects });
  const known = new Set((await catalog.listModels()).map((model) => model.name));
  const served: string[] = [];
  const left: string[] = [];
  for (const { name: model, maxOutputTokens } of models(nowMs)) {
    if (!known.has(model)) {
      if ((await catalog.findPrice(name, model)) === undefined) {
        left.push(model);
        continue;
      }
      const route = { upstreamId, upstreamModel: model, weight: 1, priority: 0 };
      await catalog.putModel(
        {
          name: model,
          routes: [{ ...route, whenClientGone, costRates: null }],
          rateCard: null,
          maxInputTokens: null,
          maxOutputTokens,
        },
        { actor: variable, action: 'model.put', subject: model, detail: {} },
      );
    }
    served.push(model);
  }
  return { title, served, left };
}

interface UpstreamSetting {
  readonly upstreamId: UpstreamId;
  readonly name: ProviderName;
  readonly baseUrl: string;
  readonly variable: string;
  readonly dialects: readonly DialectName[];
}

/** The environment decides where it is and what it speaks; how an admin tuned it stays. */
async function putUpstream(catalog: CatalogStore, setting: UpstreamSetting): Promise<void> {
  const { upstreamId, name, baseUrl, variable, dialects } = setting;
  const before = (await catalog.listUpstreams()).find(({ id }) => id === upstreamId);
  const wanted: NewUpstream = {
    id: upstreamId,
    provider: name,
    dialects,
    baseUrl,
    credential: `env:${variable}`,
    headersTimeoutMs: before?.headersTimeoutMs ?? 600_000,
    idleTimeoutMs: before?.idleTimeoutMs ?? 300_000,
    quirkOverrides: before?.quirkOverrides ?? {},
  };
  if (before !== undefined && isAlready(before, wanted)) return;
  await catalog.putUpstream(wanted, {
    actor: variable,
    action: 'upstream.put',
    subject: upstreamId,
    detail: { base_url: baseUrl, dialects },
  });
}

function isAlready(before: Upstream, wanted: NewUpstream): boolean {
  return (
    before.provider === wanted.provider &&
    before.baseUrl === wanted.baseUrl &&
    before.credential === wanted.credential &&
    before.dialects.join() === wanted.dialects.join()
  );
}
