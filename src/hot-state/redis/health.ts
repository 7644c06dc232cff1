import { Cluster, type Redis } from 'ioredis';
import {
  isReplica,
  mastersOf,
  nameOf,
  type RedisClient,
  replicaTakesNoWrites,
  unfitness,
} from './connect.ts';
import { requireWrites } from './probe.ts';
import { reasonOf } from './reasons.ts';
import type { ScriptText } from './script-texts.ts';

export interface RedisHealth {
  /** Null when every master is well; what is wrong, and what to do, where it can be used all the same. @throws where it can't */
  servers(): Promise<string | null>;
  /** Null when every master has every script; a master that lacks some is given them. @throws where none answers */
  scripts(): Promise<string | null>;
}

/** Asks the masters themselves, each within the time of a command. */
export function createRedisHealth(client: RedisClient, scripts: readonly ScriptText[]): RedisHealth {
  const isCluster = client instanceof Cluster;
  return {
    servers: () => askMasters(client, (node) => troubleOf(node, isCluster)),
    scripts: () => askMasters(client, (node) => loadMissing(node, scripts)),
  };
}

/** What each master says, together. @throws what the first one did where no master can be used */
async function askMasters(
  client: RedisClient,
  ask: (node: Redis) => Promise<string | null>,
): Promise<string | null> {
  if (client.status !== 'ready') throw new Error('not connected');
  const masters = mastersOf(client);
  const answers = await Promise.all(
    masters.map(async (node) => {
      try {
        return { usable: true, trouble: await ask(node), node };
      } catch (error) {
        return { usable: false, trouble: reasonOf(error), node };
      }
    }),
  );
  const [first] = answers;
  if (first === undefined) throw new Error('it has no master');
  if (!answers.some(({ usable }) => usable)) throw new Error(first.trouble ?? 'no answer');
  const inTrouble = answers.filter(({ trouble }) => trouble !== null);
  if (inTrouble.length === 0) return null;
  return inTrouble
    .map(({ node, trouble }) => (masters.length === 1 ? trouble : `${nameOf(node)}: ${trouble}`))
    .join(' ');
}

/** @throws where it takes no writes */
async function troubleOf(node: Redis, isCluster: boolean): Promise<string | null> {
  const [info, cluster] = await Promise.all([node.info(), isCluster ? node.cluster('INFO') : null]);
  if (isReplica(info)) throw new Error(replicaTakesNoWrites);
  if (cluster !== null && !/^cluster_state:ok\r?$/m.test(cluster)) {
    throw new Error('the Cluster is down: some of its slots have no master.');
  }
  await requireWrites(node);
  return unfitness(info);
}

async function loadMissing(node: Redis, scripts: readonly ScriptText[]): Promise<string | null> {
  const found = await node.script('EXISTS', ...scripts.map(({ sha }) => sha));
  const missing = scripts.filter((_, index) => (found as readonly unknown[])[index] !== 1);
  if (missing.length === 0) return null;
  await Promise.all(missing.map(({ text }) => node.script('LOAD', text)));
  return `${missing.length} of ${scripts.length} scripts were missing and have been loaded again.`;
}
