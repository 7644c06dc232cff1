import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { slowModels } from '../support/slow-provider.ts';
import type { Site } from './offences.ts';

/** An honest client beside a crowd, and what the gateway's process takes meanwhile. */
export interface Watched {
  /** How many of its requests were served. */
  readonly served: number;
  /** How the others were answered. */
  readonly refused: readonly string[];
  readonly slowestMs: number;
  /** MiB that the process had in memory at most. */
  readonly mostMiB: number;
  readonly endMiB: number;
}

export interface Watch {
  /** Ends it, after `least` requests of the client. */
  end(): Promise<Watched>;
}

const pauseMs = 50;
const sampleMs = 50;
const leastRequests = 5;
const withinMs = 30_000;

/**
 * The resident memory of a process, in MiB.
 * @throws where it has ended, whether or not its parent has noticed
 */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} has ended`);
  return Number(kilobytes) / 1024;
}

/** @param site with an API key of the bystander's own tenant */
export function watch({ url, apiKey }: Site, pid: number): Watch {
  const refused: string[] = [];
  let served = 0;
  let slowestMs = 0;
  let mostMiB = 0;
  let endMiB = 0;
  let isOver = false;

  async function ask(): Promise<void> {
    const startedAt = performance.now();
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: slowModels.quick, messages: [{ role: 'user', content: 'A word?' }] }),
        signal: AbortSignal.timeout(withinMs),
      });
      const text = await response.text();
      if (response.status === 200 && text.includes('A word.')) served++;
      else refused.push(`${response.status} ${text.slice(0, 200)}`);
    } catch (error) {
      refused.push(String((error as Error).cause ?? error));
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
  }

  async function keepAsking(): Promise<void> {
    while (!isOver || served + refused.length < leastRequests) {
      await ask();
      await sleep(pauseMs);
    }
  }

  async function keepSampling(): Promise<void> {
    while (!isOver) {
      endMiB = await residentMiB(pid);
      mostMiB = Math.max(mostMiB, endMiB);
      await sleep(sampleMs);
    }
  }

  const running = Promise.all([keepAsking(), keepSampling()]);
  // What went wrong is told at the end, whenever that comes.
  running.catch(() => undefined);
  return {
    end: async () => {
      isOver = true;
      await running;
      return { served, refused, slowestMs, mostMiB, endMiB };
    },
  };
}
