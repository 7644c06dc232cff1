import type { Redis } from 'ioredis';
import { nameOf } from './connect.ts';

/** What every script does, under no tenant: asks for the time, and writes under our prefix. */
const text = `redis.call('TIME') return redis.call('SET', KEYS[1], '1', 'PX', '60000')`;
const mostTags = 1_000;
/** By node: in a Cluster a node takes only keys of its own slots, and says so without running anything. */
const tags = new Map<string, number>();

/** @throws what the server answers where it doesn't let us write: rights, memory, replicas, a full disk */
export async function requireWrites(node: Redis): Promise<void> {
  const known = tags.get(nameOf(node)) ?? 0;
  for (let tried = 0; tried < mostTags; tried++) {
    const tag = (known + tried) % mostTags;
    try {
      await node.eval(text, 1, `gw:probe:{${tag}}`);
      tags.set(nameOf(node), tag);
      return;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('MOVED'))) throw error;
    }
  }
}

/** Rights that are missing now will be missing later; everything else may pass. */
export function isMissingRight(error: unknown): boolean {
  return (
    error instanceof Error &&
    /NOPERM|can't run this command or subcommand|No permissions/i.test(error.message)
  );
}
