import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { commandName, createFramer } from './resp.ts';

export interface RedisDoublingProxy {
  readonly url: string;
  readonly port: number;
  /** How many commands it has sent twice. */
  readonly doubled: number;
  close(): Promise<void>;
}

/** From these on, what comes back is no longer one reply to each command. */
const subscribing = new Set(['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE']);

/**
 * Stands before a Redis on loopback and sends every command of a client twice, one right behind the other,
 * and answers with the second reply: as a network that loses the first reply, and a client that sends again.
 * A connection that subscribes is passed on untouched from there.
 *
 * MULTI is no exception, and Redis refuses the second: it is for clients without transactions. Neither may
 * they ask for no replies (CLIENT REPLY) or an endless one (MONITOR).
 */
export async function startDoublingProxy(targetPort: number): Promise<RedisDoublingProxy> {
  const sockets = new Set<Socket>();
  let doubled = 0;
  const listener = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    const end = () => {
      client.destroy();
      target.destroy();
      sockets.delete(client);
    };
    sockets.add(client);
    for (const socket of [client, target]) socket.setNoDelay(true).on('error', end).on('close', end);
    double({ client, target, onDoubled: () => doubled++ });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get doubled() {
      return doubled;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

interface Connection {
  readonly client: Socket;
  readonly target: Socket;
  readonly onDoubled: () => void;
}

function double({ client, target, onDoubled }: Connection): void {
  const commands = createFramer();
  const replies = createFramer();
  let subscribes = false;
  /** Replies that are due: those at an even count are first ones. */
  let due = 0;

  function onCommands(bytes: Buffer): void {
    if (subscribes) {
      target.write(bytes);
      return;
    }
    for (const frame of commands.push(bytes)) {
      if (frame.sign !== '*') throw new Error('a command is an array of bulk strings');
      subscribes ||= subscribing.has(commandName(frame));
      if (!subscribes) {
        due += 2;
        onDoubled();
        target.write(frame.bytes);
      }
      target.write(frame.bytes);
    }
    if (subscribes) target.write(commands.takeRest());
  }

  function onReplies(bytes: Buffer): void {
    if (subscribes && due === 0) {
      client.write(bytes);
      return;
    }
    for (const frame of replies.push(bytes)) {
      // A push of RESP3 comes in between, and answers no command.
      const isFirst = frame.sign !== '>' && due > 0 && due-- % 2 === 0;
      if (!isFirst) client.write(frame.bytes);
    }
    if (subscribes && due === 0) client.write(replies.takeRest());
  }

  const endOnFault = (act: (bytes: Buffer) => void) => (bytes: Buffer) => {
    try {
      act(bytes);
    } catch (error) {
      client.destroy(error as Error);
    }
  };
  client.on('data', endOnFault(onCommands));
  target.on('data', endOnFault(onReplies));
}
