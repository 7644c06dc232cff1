import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/**
 * Listens for a moment where the workers will: that the port is taken is found before anything is started,
 * and 0 becomes one port for all of them, also for those that are started later.
 * @throws as a server that can't listen
 */
export async function claimPort({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<number> {
  const server = createServer().listen({ host, port });
  await once(server, 'listening');
  const claimed = (server.address() as AddressInfo).port;
  server.close();
  await once(server, 'close');
  return claimed;
}
