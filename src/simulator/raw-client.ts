import { connect, type Socket } from 'node:net';

/** A response as it came over the wire, for tests that look at bytes. */
export interface RawResponse {
  /** Everything that arrived. */
  readonly raw: Buffer;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The body as HTTP's chunked encoding delivered it; one piece for a body with a content-length. */
  readonly pieces: readonly Buffer[];
  /** Whether the response ended as HTTP says it must. */
  readonly isComplete: boolean;
}

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
  /** Leaves, without a word, as soon as this is true of what has arrived. */
  readonly leaveWhen?: (arrived: Buffer) => boolean;
}

/** Sends one request over a connection of its own and reads until it is closed. */
export async function exchange(baseUrl: string, request: RawRequest): Promise<RawResponse> {
  const socket = send(baseUrl, request);
  let raw = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    raw = Buffer.concat([raw, bytes]);
    if (request.leaveWhen?.(raw)) socket.destroy();
  });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  return parse(raw);
}

/** Sends one request and leaves the connection to the caller. */
export function send(baseUrl: string, request: RawRequest): Socket {
  const { method = 'POST', path = '/v1/chat/completions', headers = {}, body = '' } = request;
  const { hostname, port } = new URL(baseUrl);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: ${hostname}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  const socket = connect(Number(port), hostname);
  socket.write(`${lines.join('\r\n')}\r\n\r\n${text}`);
  return socket;
}

/** What stands behind `data: ` in each event of a body. */
export function eventData(body: Buffer): string[] {
  return body
    .toString('utf8')
    .split(/\r?\n\r?\n/)
    .map((event) => event.replace(/^event: .*\r?\n/, ''))
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));
}

function parse(raw: Buffer): RawResponse {
  const headEnd = raw.indexOf('\r\n\r\n');
  if (headEnd === -1) return { raw, status: 0, headers: {}, body: raw, pieces: [], isComplete: false };
  const [statusLine = '', ...lines] = raw.subarray(0, headEnd).toString('latin1').split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const sent = raw.subarray(headEnd + 4);
  const { pieces, isComplete } =
    headers['transfer-encoding'] === 'chunked'
      ? dechunk(sent)
      : { pieces: [sent], isComplete: sent.length === Number(headers['content-length']) };
  return {
    raw,
    status: Number(statusLine.split(' ')[1]),
    headers,
    body: Buffer.concat(pieces),
    pieces,
    isComplete,
  };
}

function dechunk(sent: Buffer): { pieces: Buffer[]; isComplete: boolean } {
  const pieces: Buffer[] = [];
  for (let at = 0; at < sent.length; ) {
    const lineEnd = sent.indexOf('\r\n', at);
    if (lineEnd === -1) break;
    const length = Number.parseInt(sent.subarray(at, lineEnd).toString('latin1'), 16);
    if (length === 0) return { pieces, isComplete: true };
    pieces.push(sent.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = lineEnd + 2 + length + 2;
  }
  return { pieces, isComplete: false };
}
