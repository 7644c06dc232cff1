import { readFile } from 'node:fs/promises';
import type { BoundsConfig } from '../config/bounds.ts';

/** Files of the ledger, the code and the log, and connections to Postgres and Redis. */
const ownFiles = 200;

/** How many files this process may open; null where the system doesn't tell, or sets no limit. */
async function openFilesLimit(): Promise<number | null> {
  try {
    const limits = await readFile('/proc/self/limits', 'utf8');
    const limit = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return limit === undefined ? null : Number(limit);
  } catch {
    return null;
  }
}

/** How many files a full process has open, where it may not open so many; null where it may. */
export async function missingOpenFiles({
  maxConnections,
  maxRequests,
}: BoundsConfig): Promise<{ readonly needed: number; readonly limit: number } | null> {
  const needed = maxConnections + maxRequests + ownFiles;
  const limit = await openFilesLimit();
  return limit === null || limit >= needed ? null : { needed, limit };
}
