import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { Attempt, End, Piece } from './records.ts';

export interface Sending {
  readonly gateway: number;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isStream: boolean;
  readonly isOtherBody?: boolean;
  /** How long the head, and then each next byte, is waited for. */
  readonly patienceMs: number;
  /** The client hangs up so long after the first byte; null: it stays. */
  readonly leavesAfterMs: number | null;
}

/** Longer than any answer takes, stopped gateways and all. */
const longestMs = 120_000;

export const nowMs = () => performance.timeOrigin + performance.now();

/** One exchange on a connection of its own, so that nothing is sent again behind the client's back. */
export function exchange(sending: Sending): Promise<Attempt> {
  return new Promise((resolve) => {
    const sentAtMs = nowMs();
    const pieces: Piece[] = [];
    let response: IncomingMessage | null = null;
    let ended: End | null = null;
    const call = request(optionsOf(sending));
    const timers = new Set<NodeJS.Timeout>();

    function end(how: End): void {
      if (ended !== null) return;
      ended = how;
      for (const timer of timers) clearTimeout(timer);
      call.destroy();
      const text = pieces.map((piece) => piece.text).join('');
      resolve({
        gateway: sending.gateway,
        sentAtMs,
        endedAtMs: nowMs(),
        end: how,
        status: response?.statusCode ?? null,
        headers: headersOf(response),
        pieces,
        code: codeIn(text),
        isOtherBody: sending.isOtherBody ?? false,
      });
    }

    function endAfter(ms: number, how: End): NodeJS.Timeout {
      const timer = setTimeout(() => end(how), ms);
      timers.add(timer);
      return timer;
    }

    const patience = endAfter(sending.patienceMs, 'gave_up');
    endAfter(longestMs, 'gave_up');
    call.on('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' ? 'unreached' : 'cut'),
    );
    call.on('response', (incoming) => {
      response = incoming;
      patience.refresh();
      incoming.setEncoding('utf8');
      incoming.on('data', (text: string) => {
        patience.refresh();
        if (pieces.length === 0 && sending.leavesAfterMs !== null) endAfter(sending.leavesAfterMs, 'left');
        pieces.push({ atMs: nowMs(), text });
      });
      incoming.on('error', () => end('cut'));
      incoming.on('close', () => end(endOf(incoming, pieces, sending.isStream)));
    });
    call.end(sending.body);
  });
}

function optionsOf({ port, path, headers, body }: Sending): RequestOptions {
  return {
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    agent: false,
    headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  };
}

function headersOf(response: IncomingMessage | null): Record<string, string> {
  if (response === null) return {};
  return Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const),
  );
}

function endOf(response: IncomingMessage, pieces: readonly Piece[], isStream: boolean): End {
  if (!response.complete) return 'cut';
  if (response.statusCode !== 200) return 'refused';
  const text = pieces.map((piece) => piece.text).join('');
  if (errorSaid.test(text)) return 'told_error';
  if (!isStream) return 'complete';
  return text.trimEnd().endsWith('data: [DONE]') ? 'complete' : 'cut';
}

/** In an event, or as the whole body: a provider may say so with status 200. */
const errorSaid = /^(data: )?\{"error":/m;

function codeIn(text: string): string | null {
  if (!text.includes('"error"')) return null;
  return /"code":\s*"([A-Z_]+)"/.exec(text)?.[1] ?? null;
}
