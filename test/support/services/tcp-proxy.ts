import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** What becomes of the server's bytes: `cut` ends the connection at the next of them, once. */
  replies: 'pass' | 'swallow' | 'cut';
  /** Ends every connection. */
  cutAll(): void;
  close(): Promise<void>;
}

/** Stands before a server on loopback and loses its replies on request. */
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
    client.on('data', (bytes) => target.write(bytes));
    target.on('data', (bytes) => {
      if (proxy.replies === 'pass') client.write(bytes);
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
    cutAll,
    close: async () => {
      cutAll();
      listener.close();
      await once(listener, 'close');
    },
  };
  return proxy;
}
