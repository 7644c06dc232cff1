import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that systems give to outgoing connections (from 32,768 on Linux): one of those may be
 * taken while a crashed server is away, and a client that connects to it again and again may even meet itself.
 */
const first = 20_000;
const afterLast = 32_000;
const attempts = 100;
/** Servers that start together ask for theirs before any of them listens. */
const handedOut = new Set<number>();

/** A port of loopback that nobody listens on; the `preferred` one where it is free. */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await isFree(preferred))) return preferred;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = randomInt(first, afterLast);
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port among ${attempts} between ${first} and ${afterLast}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
