import type { Directives, Ending } from './directives.ts';
import type { ApiError, Wording } from './errors.ts';
import type { AnswerEvent, Framing, StreamLayout } from './format.ts';
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

/** The refusal that was asked for, in the words of the provider; null when none was. */
export function refusalFor(ending: Ending | null, wording: Wording, seconds: number): ApiError | null {
  const headers = { 'retry-after': String(seconds) };
  switch (ending) {
    case 'refuse_400':
      return wording.invalid(
        'This request was refused because it asked for that.',
        null,
        'simulated_refusal',
      );
    case 'refuse_401':
      return { ...wording.wrongApiKey('simulated'), status: 401 };
    case 'refuse_429':
      return { ...wording.rateLimited(seconds), headers };
    case 'refuse_500':
      return wording.serverError();
    case 'refuse_503':
      return { ...wording.overloaded(), status: 503, headers };
    case 'refuse_529':
      return { ...wording.overloaded(), status: 529, headers };
    default:
      return null;
  }
}

/** Lays a stream out as bytes, with the faults that were asked for. Made while it is walked. */
export function streamPackets(
  layout: StreamLayout,
  directives: Directives,
  random: Random,
): Iterable<Packet> {
  const { ending, layout: faults } = directives.fault;
  const isBroken = ending === 'cut' || ending === 'stall' || ending === 'error_event';
  let events = isBroken ? firstEvents(layout.events(), directives.after) : layout.events();
  if (faults.has('no_done')) events = withoutClosing(events);
  if (ending === 'error_event') events = withFailure(events, layout);
  const lineEnd = faults.has('crlf') ? '\r\n' : '\n';
  if (faults.has('big_events')) events = enlarged(events, layout.framing, lineEnd);
  const isWhole = ending !== 'cut' && ending !== 'stall' && !faults.has('no_done');
  let packets = framed[layout.framing](events, lineEnd, isWhole);
  if (faults.has('junk_bytes')) packets = withJunk(packets, directives.junk_events, random);
  return faults.has('split_bytes') ? split(packets, random) : packets;
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

function* withoutClosing(events: Iterable<AnswerEvent>): Generator<AnswerEvent> {
  for (const event of events) if (!event.closes) yield event;
}

/** The provider's error takes the place of everything that would still have come. */
function* withFailure(events: Iterable<AnswerEvent>, layout: StreamLayout): Generator<AnswerEvent> {
  let sent = 0;
  for (const event of withoutClosing(events)) {
    yield event;
    sent += 1;
  }
  yield* layout.failure(sent);
}

/** Pads each event to 64 KB by the member that OpenAI itself pads with, so that no text changes. */
function* enlarged(events: Iterable<AnswerEvent>, framing: Framing, lineEnd: string): Generator<AnswerEvent> {
  for (const event of events) {
    if (!event.data.endsWith('}')) {
      yield event;
      continue;
    }
    const around = framing === 'sse' ? sseText({ ...event, data: '' }, lineEnd) : '';
    const taken = Buffer.byteLength(event.data) + around.length + `,"obfuscation":""`.length;
    const padding = 'x'.repeat(Math.max(0, bigEventBytes - taken));
    yield { ...event, data: `${event.data.slice(0, -1)},"obfuscation":"${padding}"}` };
  }
}

function sseText({ type, data }: AnswerEvent, lineEnd: string): string {
  const field = type === undefined ? '' : `event: ${type}${lineEnd}`;
  return `${field}data: ${data}${lineEnd}${lineEnd}`;
}

type Frame = (events: Iterable<AnswerEvent>, lineEnd: string, isWhole: boolean) => Iterable<Packet>;

const framed: Readonly<Record<Framing, Frame>> = {
  *sse(events, lineEnd) {
    for (const event of events) yield { bytes: sseText(event, lineEnd), events: 1, tokens: event.tokens };
  },
  /** As Google streams without `alt=sse`: each element as it comes, with what stands before it. */
  *json_array(events, lineEnd, isWhole) {
    let before = '[';
    for (const { data, tokens } of events) {
      yield { bytes: `${before}${data}${lineEnd}`, events: 1, tokens };
      before = `,${lineEnd}`;
    }
    if (isWhole) yield { bytes: before === '[' ? '[]' : ']', events: 0, tokens: 0 };
  },
};

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
