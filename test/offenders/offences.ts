import { setTimeout as sleep } from 'node:timers/promises';
import { slowModels } from '../support/slow-provider.ts';
import {
  connectTo,
  countConnected,
  headOf,
  isWhole,
  outcomeOf,
  type RawClient,
  requestOf,
} from './raw-client.ts';

export interface Site {
  readonly url: string;
  readonly apiKey: string;
}

/** How many of a crowd were answered in which way. */
export type Tally = Readonly<Record<string, number>>;

export function tallyOf(outcomes: readonly string[]): Tally {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/** As many at once as a listening socket can queue. */
const connectingAtOnce = 100;

/** Runs it so many times, a hundred at a time beginning. */
async function crowd<T>(count: number, one: (index: number) => Promise<T>): Promise<T[]> {
  const all: Promise<T>[] = [];
  for (let begun = 0; begun < count; begun += connectingAtOnce) {
    const round = Array.from({ length: Math.min(connectingAtOnce, count - begun) }, (_, at) =>
      one(begun + at),
    );
    all.push(...round);
    await Promise.race([Promise.allSettled(round), sleep(200)]);
  }
  return await Promise.all(all);
}

export interface Held {
  readonly tally: Tally;
  readonly clients: readonly RawClient[];
  letGo(): void;
}

const messages = [{ role: 'user', content: 'Say a word.' }];

function heldBy(clients: readonly RawClient[], tally: Tally): Held {
  return {
    tally,
    clients,
    letGo: () => {
      for (const { socket } of clients) socket.destroy();
    },
  };
}

/** Streams that have begun and of which next to nothing comes. */
export async function idleStreams({ url, apiKey }: Site, count: number): Promise<Held> {
  const clients = await crowd(count, async () => {
    const client = await connectTo(url);
    client.socket.write(requestOf(apiKey, { model: slowModels.idle, stream: true, messages }));
    return client;
  });
  const outcomes = await Promise.all(
    clients.map(async (client) => {
      const outcome = await outcomeOf(client, 120_000);
      const deadline = Date.now() + 60_000;
      while (outcome === '200' && !client.text().includes('data: ') && Date.now() < deadline) await sleep(50);
      return client.text().includes('data: ') ? '200 and its first event' : outcome;
    }),
  );
  return heldBy(clients, tallyOf(outcomes));
}

/** Clients that ask and then never read: a stream without an end, or a whole answer of 32 MB. */
export async function nonReaders(
  { url, apiKey }: Site,
  count: number,
  model: 'endless' | 'large',
): Promise<Held> {
  const clients = await crowd(count, async () => {
    const client = await connectTo(url);
    client.socket.pause();
    // Of an answer that is complete the end of the connection tells, without a read.
    const body = { model, stream: model === 'endless', messages };
    client.socket.write(requestOf(apiKey, body, { connection: 'close' }));
    return client;
  });
  return heldBy(clients, { 'never reads': count });
}

const givenUpWithinMs = 180_000;

/** What they find when they do read at last, once the gateway has given them up. */
export async function outcomesOfNonReaders({ url }: Site, { clients }: Held): Promise<Tally> {
  const deadline = Date.now() + givenUpWithinMs;
  while ((await countConnected(url, clients)) > 0 && Date.now() < deadline) await sleep(200);
  const outcomes = await Promise.all(
    clients.map(async (client) => {
      client.socket.resume();
      while (client.isOpen && !isWhole(client) && Date.now() < deadline) await sleep(50);
      const outcome = await outcomeOf(client, 10_000);
      if (outcome !== '200') return outcome;
      if (isWhole(client)) return 'read the whole answer';
      return client.isOpen ? 'not broken off' : 'broken off';
    }),
  );
  return tallyOf(outcomes);
}

export type BodyManner = 'declared' | 'chunked' | 'expecting' | 'unknown';

const pieceBytes = 64 * 1024;
const piece = Buffer.alloc(pieceBytes, 0x20);
const chunkedPiece = Buffer.concat([
  Buffer.from(`${pieceBytes.toString(16)}\r\n`),
  piece,
  Buffer.from('\r\n'),
]);

/** Less than a client may stand still. */
const mostTogetherMs = 3_000;

export interface LargeBodies {
  readonly bytes: number;
  readonly manner: BodyManner;
  /** So many have sent all but the end of their bodies before any of them sends that. */
  readonly atOnce?: number;
}

/** Bodies that are larger than any that is taken, or together more than is held. */
export async function largeBodies(
  { url, apiKey }: Site,
  count: number,
  { bytes, manner, atOnce = 1 }: LargeBodies,
): Promise<Tally> {
  const together = Promise.withResolvers<void>();
  let arrived = 0;
  const arrive = () => {
    arrived++;
    if (arrived >= Math.min(atOnce, count)) together.resolve();
    // One that was cut never arrives.
    return Promise.race([together.promise, sleep(mostTogetherMs)]);
  };
  const outcomes = await crowd(count, async () => {
    const client = await connectTo(url);
    const length: Record<string, string> =
      manner === 'chunked' ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(bytes) };
    const expect: Record<string, string> = manner === 'expecting' ? { expect: '100-continue' } : {};
    const sent = manner === 'unknown' ? 'tg_unknown' : apiKey;
    client.socket.write(headOf({ apiKey: sent, headers: { ...length, ...expect } }));
    if (manner !== 'expecting')
      await pour(client, bytes, manner === 'chunked' ? chunkedPiece : piece, arrive);
    const outcome = await outcomeOf(client, 60_000);
    client.socket.destroy();
    return outcome;
  });
  return tallyOf(outcomes);
}

/**
 * Like a client that reads only once it has sent everything.
 * @param beforeEnd what it waits for before its last piece
 */
async function pour(
  { socket }: RawClient,
  bytes: number,
  each: Buffer,
  beforeEnd: () => Promise<void>,
): Promise<void> {
  socket.pause();
  for (let sent = 0; sent < bytes && socket.writable; sent += pieceBytes) {
    if (sent + pieceBytes >= bytes) await beforeEnd();
    if (socket.write(each)) continue;
    await new Promise<void>((resolve) => {
      const go = () => {
        socket.off('drain', go).off('close', go);
        resolve();
      };
      socket.on('drain', go).on('close', go);
    });
  }
  socket.resume();
}

/** Headers without an end, or more of them than any client has. */
export async function headerFloods(
  { url, apiKey }: Site,
  count: number,
  kind: 'endless' | 'many',
): Promise<Tally> {
  const outcomes = await crowd(count, async () => {
    const client = await connectTo(url);
    const { socket } = client;
    if (kind === 'many') {
      const headers = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`x-${at}`, 'x']));
      socket.write(headOf({ apiKey, headers: { ...headers, 'content-length': '0' } }));
    } else {
      socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n');
      for (let at = 0; at < 400 && socket.writable; at++) {
        socket.write(`x-flood-${at}: ${'x'.repeat(1000)}\r\n`);
        if (at % 20 === 0) await sleep(1);
      }
    }
    const outcome = await outcomeOf(client, 30_000);
    socket.destroy();
    return outcome;
  });
  return tallyOf(outcomes);
}

export type SlowManner = 'headers' | 'body' | 'silent_body' | 'nothing';

/** Requests of which a little comes now and then, or nothing more at all. */
export async function slowRequests(
  { url, apiKey }: Site,
  count: number,
  { manner, withinMs }: { readonly manner: SlowManner; readonly withinMs: number },
): Promise<Tally> {
  const heads: Record<SlowManner, string> = {
    headers: 'POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nx-slow: ',
    body: headOf({ apiKey, headers: { 'content-length': '1000000' } }),
    silent_body: headOf({ apiKey, headers: { 'content-length': '1000' } }),
    nothing: '',
  };
  const outcomes = await crowd(count, async () => {
    const client = await connectTo(url);
    const { socket } = client;
    socket.write(heads[manner]);
    const drips = manner === 'headers' || manner === 'body';
    const drip = setInterval(() => drips && socket.writable && socket.write('x'), 200);
    const outcome = await outcomeOf(client, withinMs);
    clearInterval(drip);
    socket.destroy();
    return outcome;
  });
  return tallyOf(outcomes);
}
