import type { Driver } from './driver.ts';

interface Settings {
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_commit: string;
}

const settings = `SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
  current_setting('synchronous_commit') AS synchronous_commit`;

/**
 * What a power loss, or a crash of the server's machine, could take of what was acknowledged. These are settings
 * of the server that an operator may change while it runs.
 */
export async function durabilityWeakness(query: Driver['query']): Promise<string | null> {
  const [now] = await query<Settings>(settings, []);
  if (now?.fsync === 'off') {
    return 'fsync is off, so a power loss can take what was charged, or the whole database: ALTER SYSTEM SET fsync = on, and reload it.';
  }
  if (now?.full_page_writes === 'off') {
    return 'full_page_writes is off, so a power loss can leave torn pages unless the file system never tears one: ALTER SYSTEM SET full_page_writes = on, and reload it.';
  }
  // Each connection raises it; a pooler that mixes sessions hands out one where that is lost.
  if (now?.synchronous_commit === 'off') {
    return 'synchronous_commit is off in spite of us, so a crash can take what was charged: use a pooler that keeps sessions together, or set it on for the role.';
  }
  return null;
}
