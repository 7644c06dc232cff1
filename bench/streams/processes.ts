import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type {
  ClientsAnswer,
  ClientsCommand,
  ClientsCounts,
  ClosedCounts,
  Target,
  UpstreamAnswer,
  UpstreamCommand,
  UpstreamCounts,
} from './wire.ts';

/** Stands in for a provider of streams, and tells what it managed to send. */
export interface StreamsUpstream {
  /** As a gateway takes it. */
  readonly url: string;
  setRate(eventsPerSecond: number): void;
  startCounting(): void;
  counts(): Promise<UpstreamCounts>;
  endStreams(): void;
  stop(): Promise<void>;
}

export interface StreamClients {
  open(target: Target, options: { readonly streams: number; readonly perSecond: number }): Promise<void>;
  startCounting(): void;
  counts(): Promise<ClientsCounts>;
  /** Once all streams have ended. */
  closed(): Promise<ClosedCounts>;
  stop(): Promise<void>;
}

const answersWithinMs = 60_000;

/** It is on the core of this process. */
function start(file: string): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

async function answerOf<Answer extends { readonly kind: string }, Kind extends Answer['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<Answer, { kind: Kind }>> {
  const signal = AbortSignal.timeout(answersWithinMs);
  for (;;) {
    const [answer] = (await once(child, 'message', { signal })) as [Answer];
    if (answer.kind === kind) return answer as Extract<Answer, { kind: Kind }>;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export async function startStreamsUpstream(): Promise<StreamsUpstream> {
  const child = start('./upstream.ts');
  const send = (command: UpstreamCommand) => void child.send(command);
  const { port } = await answerOf<UpstreamAnswer, 'listening'>(child, 'listening');
  return {
    url: `http://127.0.0.1:${port}/v1`,
    setRate: (eventsPerSecond) => send({ kind: 'rate', eventsPerSecond }),
    startCounting: () => send({ kind: 'count' }),
    counts: () => {
      send({ kind: 'counted' });
      return answerOf<UpstreamAnswer, 'counts'>(child, 'counts');
    },
    endStreams: () => send({ kind: 'end' }),
    stop: () => stop(child),
  };
}

export async function startStreamClients(): Promise<StreamClients> {
  const child = start('./clients.ts');
  const send = (command: ClientsCommand) => void child.send(command);
  await answerOf<ClientsAnswer, 'ready'>(child, 'ready');
  return {
    open: async (target, options) => {
      send({ kind: 'open', target, ...options });
      await answerOf<ClientsAnswer, 'opened'>(child, 'opened');
    },
    startCounting: () => send({ kind: 'count' }),
    counts: () => {
      send({ kind: 'counted' });
      return answerOf<ClientsAnswer, 'counts'>(child, 'counts');
    },
    closed: () => {
      send({ kind: 'closed' });
      return answerOf<ClientsAnswer, 'closed'>(child, 'closed');
    },
    stop: () => stop(child),
  };
}
