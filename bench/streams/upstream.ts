import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { percentile } from '../figures.ts';
import { nowMicros, stampDigits, stampMark, type UpstreamAnswer, type UpstreamCommand } from './wire.ts';

// A provider of streams: each open one is sent an event at once, and one at every beat of its own, stamped when it is
// written. The beats are spread evenly whenever the streams came, so that a gateway that opens many at once isn't sent
// all their events at once ever after. All have one rate, so whoever was served last is due last: one queue, and no
// timer of its own for any of them.

interface Stream {
  readonly response: ServerResponse;
  readonly socket: Socket;
  dueAtMicros: number;
}

const tell = (answer: UpstreamAnswer) => process.send?.(answer);

/** Written to the socket as it is: what HTTP puts around a chunk is the same for each. */
function chunked(event: string): Buffer {
  const size = Buffer.byteLength(event).toString(16);
  return Buffer.from(`${size}\r\n${event}\r\n`);
}

const eventOf = (members: object) =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'bench',
    ...members,
  })}\n\n`;

const choice = (delta: object, finish_reason: string | null) => [{ index: 0, delta, finish_reason }];
const template = chunked(
  eventOf({ choices: choice({ content: ' word' }, null), obfuscation: '0'.repeat(stampDigits) }),
);
const stampAt = template.indexOf(stampMark) + stampMark.length;
const usage = { prompt_tokens: 180, completion_tokens: 155, total_tokens: 335 };
const ending = `${eventOf({ choices: choice({}, 'stop') })}${eventOf({ choices: [], usage })}data: [DONE]\n\n`;

let intervalMicros = 20_000;
/** A queue in a ring: the next one is at `head`. */
let queue: Stream[] = [];
let head = 0;
let counted = { sent: 0, lateness: [] as number[] };
/** From the end of all streams to the next rate: who comes late is ended too. */
let isEnding = false;

function send({ socket }: Stream, atMicros: number): void {
  const event = Buffer.from(template);
  event.write(String(atMicros).padStart(stampDigits, '0'), stampAt, 'latin1');
  socket.write(event);
}

function serve(): void {
  for (let served = 0; served < queue.length; served++) {
    const stream = queue[head % queue.length];
    const atMicros = nowMicros();
    if (stream === undefined || stream.dueAtMicros > atMicros) return;
    send(stream, atMicros);
    counted.sent++;
    counted.lateness.push(atMicros - stream.dueAtMicros);
    stream.dueAtMicros += intervalMicros;
    head = (head + 1) % queue.length;
  }
}

function open(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  request.on('end', () => {
    const { socket } = response;
    if (socket === null) return;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    if (isEnding) {
      response.end(ending);
      return;
    }
    const atMicros = nowMicros();
    const stream = { response, socket, dueAtMicros: nextBeatMicros(atMicros) };
    send(stream, atMicros);
    enqueue(stream);
    response.on('close', () => leave(stream));
  });
}

const goldenRatio = (Math.sqrt(5) - 1) / 2;
let opened = 0;

/** Multiples of the golden ratio lie evenly in an interval, however many there are. */
function nextBeatMicros(atMicros: number): number {
  const phase = ((opened++ * goldenRatio) % 1) * intervalMicros;
  const beat = Math.floor(atMicros / intervalMicros) * intervalMicros + phase;
  return beat > atMicros ? beat : beat + intervalMicros;
}

function enqueue(stream: Stream): void {
  queue = [...queue.slice(head), ...queue.slice(0, head)];
  head = 0;
  const at = queue.findIndex(({ dueAtMicros }) => dueAtMicros > stream.dueAtMicros);
  queue.splice(at < 0 ? queue.length : at, 0, stream);
}

function leave(stream: Stream): void {
  const at = queue.indexOf(stream);
  if (at < 0) return;
  queue.splice(at, 1);
  if (at < head) head--;
  if (head >= queue.length) head = 0;
}

function endAll(): void {
  isEnding = true;
  const ended = queue;
  queue = [];
  head = 0;
  for (const { response } of ended) response.end(ending);
}

let countedSinceMicros = 0;

function answerCounts(): void {
  const { sent, lateness } = counted;
  const due = (queue.length * (nowMicros() - countedSinceMicros)) / intervalMicros;
  const latenessP99Ms = percentile(lateness, 99) / 1_000;
  tell({ kind: 'counts', streams: queue.length, due, sent, latenessP99Ms });
}

process.on('message', (command: UpstreamCommand) => {
  switch (command.kind) {
    case 'rate':
      intervalMicros = 1_000_000 / command.eventsPerSecond;
      isEnding = false;
      return;
    case 'count':
      counted = { sent: 0, lateness: [] };
      countedSinceMicros = nowMicros();
      return;
    case 'counted':
      return answerCounts();
    case 'end':
      return endAll();
  }
});
process.on('disconnect', () => process.exit(0));

const server = createServer({ keepAliveTimeout: 60_000 }, open);
server.on('connection', (socket) => socket.setNoDelay(true));
server.listen(0, '127.0.0.1', 4096, () => {
  tell({ kind: 'listening', port: (server.address() as AddressInfo).port });
});
setInterval(serve, 1);
