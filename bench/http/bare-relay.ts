import { fileURLToPath } from 'node:url';
import { type BenchServer, measuresOf, startProgram } from './server.ts';

const entry = fileURLToPath(new URL('../relay.ts', import.meta.url));

export interface BareRelayOptions {
  readonly upstreamUrl: string;
  readonly profileFolder?: string | null;
}

export async function startBareRelay({ upstreamUrl, profileFolder = null }: BareRelayOptions) {
  const { told, pid, stop } = await startProgram(() => ({
    entry,
    env: { UPSTREAM_URL: upstreamUrl },
    readyWhen: /ready on /,
    profileFolder,
  }));
  const url = `${/ready on (http:\S+)/.exec(told)?.[1]}/v1/chat/completions`;
  return { url, headers: {}, ...measuresOf(pid), stop } satisfies BenchServer;
}
