import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A client that does what no client should: it writes what it likes, when it likes, and may never read. */
export interface RawClient {
  readonly socket: Socket;
  /** What came so far, as text; nothing while it doesn't read. */
  text(): string;
  /** False once the connection is closed. */
  readonly isOpen: boolean;
  /** How many bytes it has read. */
  readonly bytesRead: number;
}

const keptLength = 64 * 1024;

export async function connectTo(url: string): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  let text = '';
  const socket = connect({ host: hostname, port: Number(port) });
  // Both ends of a connection that is cut are told by its end.
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    if (text.length < keptLength) text += chunk.toString('latin1');
  });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return {
    socket,
    text: () => text,
    get isOpen() {
      return !socket.closed;
    },
    get bytesRead() {
      return socket.bytesRead;
    },
  };
}

export interface Head {
  readonly path?: string;
  readonly apiKey: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function headOf({ path = '/v1/chat/completions', apiKey, headers = {} }: Head): string {
  const all = {
    host: 'gateway',
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/json',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** A whole request. */
export function requestOf(apiKey: string, body: object, headers: Head['headers'] = {}): string {
  const text = JSON.stringify(body);
  return headOf({ apiKey, headers: { 'content-length': String(text.length), ...headers } }) + text;
}

/**
 * How a request was answered: "413 REQUEST_TOO_LARGE", "200", or why not. Waits for the answer's status and
 * body, or for the end of the connection, and no longer than `withinMs`.
 */
export async function outcomeOf(client: RawClient, withinMs: number): Promise<string> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    const outcome = readOutcome(client.text());
    if (outcome !== null) return outcome;
    if (!client.isOpen) return 'closed without an answer';
    await sleep(20);
  }
  return 'no answer';
}

function readOutcome(text: string): string | null {
  const answer = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '');
  const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
  const bodyAt = answer.indexOf('\r\n\r\n');
  if (status === undefined || bodyAt === -1) return null;
  if (status === '200') return status;
  const code = /"code":"([A-Z_]+)"/.exec(answer.slice(bodyAt))?.[1];
  if (code === undefined && !answer.endsWith('}')) return null;
  const retry = /\r\nretry-after: (\d+)\r\n/.exec(answer)?.[1];
  return `${status} ${code ?? 'without a code'}${retry === undefined ? '' : ' retry-after'}`;
}

/** Whether an answer came to its end: by its length, or by its last chunk. */
export function isWhole({ text, bytesRead }: RawClient): boolean {
  const head = text().split('\r\n\r\n', 1)[0] ?? '';
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  return length !== undefined && bytesRead >= head.length + 4 + Number(length);
}

const established = '01';

/**
 * How many of the clients the server still has a connection with. Who doesn't read isn't told of its end: that
 * waits behind what it didn't read; but the kernel knows.
 */
export async function countConnected(url: string, clients: readonly RawClient[]): Promise<number> {
  const hex = (port: number | undefined) => (port ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const serverPort = hex(Number(new URL(url).port));
  const clientPorts = new Set(clients.map(({ socket }) => hex(socket.localPort)));
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').slice(1);
  return lines.filter((line) => {
    const [, local = '', remote = '', state] = line.trim().split(/\s+/);
    return state === established && local.endsWith(`:${serverPort}`) && clientPorts.has(remote.slice(-4));
  }).length;
}
