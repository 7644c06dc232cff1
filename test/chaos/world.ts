import { requireAdmin } from './admin.ts';
import type { Stage } from './stage.ts';

/** What a token costs, in nano: so that an amount can be told from two counts. */
export const inputNano = 1_000n;
export const outputNano = 2_000n;
const rates = { input_per_1k: '0.001', output_per_1k: '0.002' };

/** The simulator's directives of each model. A request's own maximum is the length of its answer. */
export const models = {
  quick: 'ttfb_ms=0&tokens_per_second=0',
  brisk: 'ttfb_ms=20&tokens_per_second=50',
  steady: 'ttfb_ms=200&tokens_per_second=10',
  'no-usage': 'ttfb_ms=20&tokens_per_second=50&fault=no_usage',
  'is-cut': 'ttfb_ms=20&tokens_per_second=50&fault=cut&after=20',
  'is-cut-with-usage': 'ttfb_ms=20&tokens_per_second=50&fault=cut,usage_every_chunk&after=20',
  fails: 'ttfb_ms=20&tokens_per_second=50&fault=error_event&after=20',
  stalls: 'ttfb_ms=20&tokens_per_second=50&fault=stall&after=20',
  'stalls-at-once': 'fault=stall_headers',
  refuses: 'fault=refuse_503',
  'is-gone': 'fault=no_connection',
} as const;
export type ModelName = keyof typeof models;

export const brokenModels: readonly ModelName[] = [
  'no-usage',
  'is-cut',
  'is-cut-with-usage',
  'fails',
  'stalls',
  'stalls-at-once',
  'refuses',
  'is-gone',
];

const headersTimeoutMs = 4_000;
const idleTimeoutMs = 3_000;

export interface TenantKind {
  readonly name: string;
  readonly clients: number;
  readonly values: Readonly<Record<string, unknown>>;
  /** Added every few seconds, in the currency's unit. */
  readonly topUp: string;
  /** No balance of it may ever be below zero: nothing is delivered to it uncovered. */
  readonly isStrict: boolean;
}

/** Some have enough, some run out of money again and again, one sends more than it may. */
export const tenantKinds: readonly TenantKind[] = [
  { name: 'rich', clients: 10, values: { balance: '1000' }, topUp: '1', isStrict: false },
  { name: 'wide', clients: 8, values: { balance: '1000' }, topUp: '0.123456789', isStrict: false },
  { name: 'poor', clients: 3, values: { balance: '0.0015' }, topUp: '0.0003', isStrict: false },
  {
    name: 'strict',
    clients: 3,
    values: { balance: '0.0015', stream_allow_negative: false },
    topUp: '0.0003',
    isStrict: true,
  },
  { name: 'hasty', clients: 2, values: { balance: '1000', rpm_limit: 10 }, topUp: '1', isStrict: false },
];

export interface Tenant extends Pick<TenantKind, 'name' | 'topUp' | 'isStrict'> {
  readonly id: string;
  /** One for each client. */
  readonly apiKeys: readonly string[];
}

/** Tenants with API keys, and models on the simulated provider. */
export async function furnish({ gateways, simulator }: Stage): Promise<readonly Tenant[]> {
  const port = gateways[0]!.process.port;
  const post = (path: string, body: unknown) => requireAdmin(port, { method: 'POST', path, body });
  await post('/upstreams', {
    id: 'simulated',
    dialects: ['openai.chat'],
    base_url: simulator.url,
    headers_timeout_ms: headersTimeoutMs,
    idle_timeout_ms: idleTimeoutMs,
  });
  for (const [name, directives] of Object.entries(models)) {
    const route = { upstream: 'simulated', upstream_model: `sim?tokens=4000&${directives}` };
    await requireAdmin(port, { method: 'PUT', path: `/models/${name}`, body: { routes: [route], rates } });
  }
  const tenants: Tenant[] = [];
  for (const { name, clients, values, topUp, isStrict } of tenantKinds) {
    const { id } = await post('/tenants', { name, ...values });
    const apiKeys: string[] = [];
    for (let index = 0; index < clients; index++) {
      const { secret } = await post(`/tenants/${id}/api-keys`, { name: `client ${index}` });
      apiKeys.push(secret);
    }
    tenants.push({ name, id, topUp, isStrict, apiKeys });
  }
  return tenants;
}
