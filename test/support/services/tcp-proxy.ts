import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface TcpProxy {
  readonly port: number;
  /** What becomes of the server's bytes: `cut` ends the connection at the next of them, once. */
  replies: 'pass' | 'swallow' | 'cut';
  /** How long every byte is under way, in each direction. */
  delayMs: number;
  /** Ends every connection. */
  cutAll(): void;
  close(): Promise<void>;
}

/** Stands before a server on loopback and delays its bytes, or loses its replies, on request. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    const end = () => {
      client.destroy();
      target.destroy();
      sockets.delete(client);
    };
    sockets.add(client);
    for (const socket of [client, target]) socket.on('error', end).on('close', end);
    const [toTarget, toClient] = [inOrder(target), inOrder(client)];
    client.on('data', (bytes) => toTarget(bytes, proxy.delayMs));
    target.on('data', (bytes) => {
      if (proxy.replies === 'pass') toClient(bytes, proxy.delayMs);
      if (proxy.replies === 'cut') {
        proxy.replies = 'pass';
        end();
      }
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy: TcpProxy = {
    port: (listener.address() as AddressInfo).port,
    replies: 'pass',
    delayMs: 0,
    cutAll,
    close: async () => {
      cutAll();
      listener.close();
      await once(listener, 'close');
    },
  };
  return proxy;
}

/** What comes later never overtakes, though it be less delayed. */
function inOrder(socket: Socket): (bytes: Buffer, delayMs: number) => void {
  let before = Promise.resolve();
  let waiting = 0;
  const write = (bytes: Buffer) => {
    if (!socket.destroyed) socket.write(bytes);
  };
  return (bytes, delayMs) => {
    if (delayMs === 0 && waiting === 0) return write(bytes);
    waiting++;
    const due = sleep(delayMs);
    before = Promise.all([before, due]).then(() => {
      waiting--;
      write(bytes);
    });
  };
}
