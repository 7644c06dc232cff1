import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../figures.ts';
import {
  type ClientsAnswer,
  type ClientsCommand,
  nowMicros,
  stampDigits,
  stampMark,
  type Target,
} from './wire.ts';

// Many clients that each read one stream, and look at nothing of it but the stamps of its events and its end.

const tell = (answer: ClientsAnswer) => process.send?.(answer);

let delays: number[] = [];
let firstBytes: number[] = [];
let complete = 0;
let broken = 0;
let brokenAnswers: string[] = [];
let open = 0;
let onClosed: (() => void) | null = null;

const keptAnswer = 1_500;
const keptAnswers = 3;
const mark = Buffer.from(stampMark);
const endMark = Buffer.from('data: [DONE]');

function requestOf({ url, headers }: Target, body: string): string {
  const { host, pathname } = new URL(url);
  const lines = Object.entries({
    host,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return `POST ${pathname} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** An event that was cut in two at its mark isn't counted: nobody sends events in parts here. */
function take(chunk: Buffer): void {
  const atMicros = nowMicros();
  for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + 1)) {
    const from = at + mark.length;
    const stamp = Number(chunk.toString('latin1', from, from + stampDigits));
    if (Number.isFinite(stamp)) delays.push(atMicros - stamp);
  }
}

/** A few are enough to tell why. */
function broke(answer: string): void {
  broken++;
  if (brokenAnswers.length < keptAnswers) brokenAnswers.push(answer);
}

function openStream(target: Target, request: string): void {
  const { hostname, port } = new URL(target.url);
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  let askedAtMicros = 0;
  let answer = '';
  let isComplete = false;
  open++;
  socket.on('connect', () => {
    askedAtMicros = nowMicros();
    socket.write(request);
  });
  socket.on('data', (chunk) => {
    if (answer === '') {
      firstBytes.push(nowMicros() - askedAtMicros);
      answer = chunk.toString('latin1', 0, keptAnswer);
    }
    take(chunk);
    if (chunk.includes(endMark)) isComplete = true;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    open--;
    if (isComplete) complete++;
    else broke(answer);
    if (open === 0) onClosed?.();
  });
}

const content = 'Tell me of the sea, and of the storm that nobody had thought of. '.repeat(14);
const body = JSON.stringify({ model: 'bench', stream: true, messages: [{ role: 'user', content }] });

/** Evenly, so that the events of all of them are spread over the beat of each. */
async function openAll(target: Target, streams: number, perSecond: number): Promise<void> {
  [firstBytes, complete, broken, brokenAnswers] = [[], 0, 0, []];
  const request = requestOf(target, body);
  const startedAtMicros = nowMicros();
  for (let opened = 0; opened < streams; ) {
    const due = Math.min(streams, Math.ceil(((nowMicros() - startedAtMicros) * perSecond) / 1_000_000));
    for (; opened < due; opened++) openStream(target, request);
    await sleep(1);
  }
}

const milliseconds = (micros: readonly number[], percent: number) => percentile(micros, percent) / 1_000;

process.on('message', (command: ClientsCommand) => {
  switch (command.kind) {
    case 'open':
      openAll(command.target, command.streams, command.perSecond).then(() => tell({ kind: 'opened' }));
      return;
    case 'count':
      delays = [];
      return;
    case 'counted':
      return void tell({
        kind: 'counts',
        events: delays.length,
        delayP50Ms: milliseconds(delays, 50),
        delayP99Ms: milliseconds(delays, 99),
      });
    case 'closed':
      onClosed = () => {
        onClosed = null;
        const firstByteP50Ms = milliseconds(firstBytes, 50);
        tell({
          kind: 'closed',
          complete,
          broken,
          brokenAnswers,
          firstByteP50Ms,
          firstByteP99Ms: milliseconds(firstBytes, 99),
        });
      };
      if (open === 0) onClosed();
      return;
  }
});
process.on('disconnect', () => process.exit(0));
tell({ kind: 'ready' });
