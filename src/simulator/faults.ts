import { type AnswerEvent, doneData } from './chunks.ts';
import type { Directives, Ending } from './directives.ts';
import { type ApiError, errorBody, invalidRequest, serverError, wrongApiKey } from './errors.ts';
import { below, type Random } from './random.ts';

/** Bytes that leave in one write. */
export interface Packet {
  readonly bytes: string | Buffer;
  /** How many events end within these bytes. */
  readonly events: number;
  /** Tokens of the text of those events. */
  readonly tokens: number;
}

const bigEventBytes = 65_536;

/** The refusal that was asked for, in OpenAI's words; null when none was. */
export function refusalFor(ending: Ending | null, directives: Directives): ApiError | null {
  const retryAfter = { 'retry-after': String(directives.retry_after_seconds) };
  switch (ending) {
    case 'refuse_400':
      return invalidRequest('This request was refused because it asked for that.', null, 'simulated_refusal');
    case 'refuse_401':
      return wrongApiKey('simulated');
    case 'refuse_429':
      return {
        status: 429,
        message: `Rate limit reached for requests. Please try again in ${directives.retry_after_seconds}s.`,
        type: 'requests',
        param: null,
        code: 'rate_limit_exceeded',
        headers: retryAfter,
      };
    case 'refuse_500':
      return serverError();
    case 'refuse_503':
      return {
        ...serverError(),
        status: 503,
        message: 'The engine is currently overloaded, please try again later.',
        headers: retryAfter,
      };
    default:
      return null;
  }
}

/** Lays events out as bytes, with the faults that were asked for. Made while it is walked. */
export function streamPackets(
  events: Iterable<AnswerEvent>,
  directives: Directives,
  random: Random,
): Iterable<Packet> {
  const { ending, layout } = directives.fault;
  let chosen = events;
  if (ending === 'cut' || ending === 'stall' || ending === 'error_event') {
    chosen = firstEvents(events, directives.after);
  }
  if (layout.has('no_done')) chosen = withoutDone(chosen);
  if (ending === 'error_event') chosen = withError(chosen);
  if (layout.has('big_events')) chosen = enlarged(chosen, layout.has('crlf') ? 4 : 2);
  let packets = framed(chosen, layout.has('crlf') ? '\r\n\r\n' : '\n\n');
  if (layout.has('junk_bytes')) packets = withJunk(packets, directives.junk_events, random);
  return layout.has('split_bytes') ? split(packets, random) : packets;
}

/** Lays a whole body out in packets of random sizes. */
export function bodyPackets(body: string | Buffer, tokens: number, random: Random): Iterable<Packet> {
  return split([{ bytes: body, events: 0, tokens }], random);
}

/** Bytes that are neither JSON nor UTF-8 nor the end of a line. */
export function junk(random: Random): Buffer {
  const bytes = Buffer.alloc(16 + below(random, 240));
  for (let at = 0; at < bytes.length; at++) bytes[at] = 0x80 + below(random, 0x80);
  return bytes;
}

function* firstEvents(events: Iterable<AnswerEvent>, limit: number): Generator<AnswerEvent> {
  let left = limit;
  if (left === 0) return;
  for (const event of events) {
    yield event;
    left -= 1;
    if (left === 0) return;
  }
}

function* withoutDone(events: Iterable<AnswerEvent>): Generator<AnswerEvent> {
  for (const event of events) if (event.data !== doneData) yield event;
}

/** OpenAI's error event takes the place of everything that would still have come. */
function* withError(events: Iterable<AnswerEvent>): Generator<AnswerEvent> {
  for (const event of events) if (event.data !== doneData) yield event;
  yield { data: errorBody(serverError()), tokens: 0 };
}

/** Pads each event to 64 KB by the member that OpenAI itself pads with, so that no text changes. */
function* enlarged(events: Iterable<AnswerEvent>, endLength: number): Generator<AnswerEvent> {
  const empty = `data: ,"obfuscation":""`.length + endLength;
  for (const event of events) {
    if (event.data === doneData) {
      yield event;
      continue;
    }
    const padding = 'x'.repeat(Math.max(0, bigEventBytes - empty - Buffer.byteLength(event.data)));
    yield { ...event, data: `${event.data.slice(0, -1)},"obfuscation":"${padding}"}` };
  }
}

function* framed(events: Iterable<AnswerEvent>, end: string): Generator<Packet> {
  for (const { data, tokens } of events) yield { bytes: `data: ${data}${end}`, events: 1, tokens };
}

/** After each of the first events, in turn an event whose data is junk and a line of junk that is no field. */
function* withJunk(packets: Iterable<Packet>, count: number, random: Random): Generator<Packet> {
  let sent = 0;
  for (const packet of packets) {
    yield packet;
    if (sent >= count) continue;
    const prefix = sent % 2 === 0 ? 'data: ' : '';
    yield {
      bytes: Buffer.concat([Buffer.from(prefix), junk(random), Buffer.from('\n\n')]),
      events: 0,
      tokens: 0,
    };
    sent += 1;
  }
}

/** The same bytes, cut anywhere: within lines, within characters, and across events. */
function* split(packets: Iterable<Packet>, random: Random): Generator<Packet> {
  const drawSize = () => 1 + below(random, random() % 3 === 0 ? 8 : 400);
  let size = drawSize();
  let held: Buffer = Buffer.alloc(0);
  let events = 0;
  let tokens = 0;
  for (const packet of packets) {
    let bytes: Buffer = typeof packet.bytes === 'string' ? Buffer.from(packet.bytes) : packet.bytes;
    while (held.length + bytes.length > size) {
      const taken = size - held.length;
      yield { bytes: Buffer.concat([held, bytes.subarray(0, taken)]), events, tokens };
      bytes = bytes.subarray(taken);
      held = Buffer.alloc(0);
      events = 0;
      tokens = 0;
      size = drawSize();
    }
    held = Buffer.concat([held, bytes]);
    events += packet.events;
    tokens += packet.tokens;
  }
  if (held.length > 0) yield { bytes: held, events, tokens };
}
