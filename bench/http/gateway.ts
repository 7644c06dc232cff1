import { fileURLToPath } from 'node:url';
import { type BenchServer, measuresOf, startProgram } from './server.ts';

export interface BenchGateway extends BenchServer {
  /** Null where it was told to have none. */
  readonly metricsUrl: string | null;
}

const entry = fileURLToPath(new URL('../../bin/tollgate.js', import.meta.url));
const adminToken = 'bench-admin-token-0123456789';

export interface BenchGatewayOptions {
  readonly upstreamUrl: string;
  readonly env: Readonly<Record<string, string>>;
  readonly profileFolder?: string | null;
}

/** A gateway as it is run, with one tenant that has money and one model of the upstream. */
export async function startBenchGateway(options: BenchGatewayOptions): Promise<BenchGateway> {
  const { upstreamUrl, env, profileFolder = null } = options;
  const { told, pid, stop } = await startProgram((folder) => ({
    entry,
    env: {
      DATA_DIR: folder,
      PORT: '0',
      PROMETHEUS_PORT: '0',
      ADMIN_TOKEN: adminToken,
      DEMO: 'false',
      ...env,
    },
    readyWhen: /ready on /,
    profileFolder,
  }));
  try {
    const url = /ready on (http:\S+)/.exec(told)?.[1] ?? '';
    const apiKey = await setUp(url, upstreamUrl);
    return {
      url: `${url}/v1/chat/completions`,
      headers: { authorization: `Bearer ${apiKey}` },
      metricsUrl: /^Metrics +(http:\S+)$/m.exec(told)?.[1] ?? null,
      ...measuresOf(pid),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @returns an API key */
async function setUp(url: string, upstreamUrl: string): Promise<string> {
  const admin = async (method: string, path: string, body: object) => {
    const response = await fetch(`${url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as { readonly id: string; readonly secret: string };
  };
  await admin('POST', '/upstreams', { id: 'bench', dialects: ['openai.chat'], base_url: upstreamUrl });
  await admin('PUT', '/models/bench', {
    routes: [{ upstream: 'bench', upstream_model: 'bench' }],
    rates: { input_per_1k: '0.001', output_per_1k: '0.002' },
  });
  const { id } = await admin('POST', '/tenants', { name: 'bench', balance: '1000000' });
  const { secret } = await admin('POST', `/tenants/${id}/api-keys`, { name: 'bench' });
  return secret;
}
