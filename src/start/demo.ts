import type { AdminDependencies } from '../admin/admin-call.ts';
import { createTenant, newTenant } from '../admin/tenant-creation.ts';
import { type AuditEntry, unlimitedApiKey } from '../catalog/catalog.ts';
import { type ApiKeyId, hashSecret, newSecret, type TenantId, type UpstreamId } from '../domain/ids.ts';
import { parseRate } from '../domain/money.ts';
import type { Rates } from '../domain/pricing.ts';

const tenantId = 'demo' as TenantId;
const upstreamId = 'sim' as UpstreamId;
const openingBalance = '10.00';

const perMillion = (text: string) => parseRate(text, 1_000_000);

/** Priced like a small and a large model of today. */
const models: Readonly<Record<string, Rates>> = {
  'sim-small': { input: perMillion('0.15'), cache_read: perMillion('0.075'), output: perMillion('0.60') },
  'sim-large': { input: perMillion('2.50'), cache_read: perMillion('0.25'), output: perMillion('15.00') },
};
const maxOutputTokens = 4096;

/** Every wire format that there is: the simulated provider speaks them all. */
const dialects = [
  'openai.chat',
  'openai.responses',
  'openai.completions',
  'openai.embeddings',
  'anthropic.messages',
  'gemini.generate',
];

function audit(action: string, subject: string): AuditEntry {
  return { actor: 'demo', action, subject, detail: {} };
}

export interface Demo {
  /** The secret of its API key; null when it was made and shown at an earlier start. */
  readonly apiKey: string | null;
}

/** A tenant with money and an API key, and two models of the simulated provider: something to try at once. */
export async function setUpDemo(dependencies: AdminDependencies, simulatorOrigin: string): Promise<Demo> {
  await putSimulator(dependencies, simulatorOrigin);
  const body = newTenant.parse({ id: tenantId, name: 'Demo', balance: openingBalance });
  // The same call at every start: it creates once, and completes what an interrupted first start left.
  await createTenant(dependencies, { body, idempotencyKey: null, actor: 'demo' });
  return { apiKey: await createApiKey(dependencies) };
}

/** Its port is a new one at every start. */
async function putSimulator({ catalog }: AdminDependencies, simulatorOrigin: string): Promise<void> {
  await catalog.putUpstream(
    {
      id: upstreamId,
      provider: 'sim',
      dialects,
      // Anthropic's and Google's paths stand below the origin, and the simulator finds OpenAI's there too.
      baseUrl: simulatorOrigin,
      credential: null,
      headersTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      quirkOverrides: {},
    },
    audit('upstream.put', upstreamId),
  );
  for (const [name, rates] of Object.entries(models)) {
    if ((await catalog.findModel(name)) !== undefined) continue;
    const route = {
      upstreamId,
      upstreamModel: name,
      weight: 1,
      priority: 0,
      whenClientGone: 'cancel',
      costRates: null,
    } as const;
    await catalog.putModel(
      {
        name,
        routes: [route],
        rateCard: { effectiveFromMs: 0, rates },
        maxInputTokens: null,
        maxOutputTokens,
      },
      audit('model.put', name),
    );
  }
}

async function createApiKey({ catalog, newId }: AdminDependencies): Promise<string | null> {
  if ((await catalog.listApiKeys(tenantId)).length > 0) return null;
  const secret = newSecret('tg');
  const id = newId() as ApiKeyId;
  await catalog.createApiKey(
    {
      id,
      tenantId,
      name: 'demo',
      secretHash: hashSecret(secret),
      prefix: secret.slice(0, 8),
      ...unlimitedApiKey,
    },
    audit('api_key.create', id),
  );
  return secret;
}
