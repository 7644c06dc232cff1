import type { Directives } from './directives.ts';
import { bodyPackets, junk, streamPackets } from './faults.ts';
import type { Framing, Reply, StreamLayout } from './format.ts';
import { jsonType, type Outbound } from './outbound.ts';
import type { Random } from './random.ts';
import { pour } from './stream.ts';

/** An answer on its way. */
export interface Delivery {
  readonly reply: Reply;
  readonly directives: Directives;
  readonly headers: Readonly<Record<string, string>>;
  /** For the faults. */
  readonly random: Random;
}

const contentTypes: Readonly<Record<Framing, string>> = {
  sse: 'text/event-stream; charset=utf-8',
  json_array: 'application/json; charset=UTF-8',
};

export async function deliverStream(
  outbound: Outbound,
  { directives, headers, random }: Delivery,
  stream: StreamLayout,
): Promise<void> {
  const { ending } = directives.fault;
  outbound.begin(200, { 'content-type': contentTypes[stream.framing], ...headers });
  await pour(outbound, streamPackets(stream, directives, random), directives);
  if (ending === 'stall') return outbound.stall();
  if (ending === 'cut') return outbound.disconnect();
  if (ending === 'error_event') outbound.breaks();
  outbound.finish();
}

export async function deliverBody(
  outbound: Outbound,
  { reply, directives, random, ...delivery }: Delivery,
): Promise<void> {
  const { ending, layout } = directives.fault;
  const { tokens_per_second: speed } = directives;
  const generated = reply.usage?.completionTokens ?? 0;
  // A body comes when all of it is generated.
  if (speed > 0) await outbound.sleepUntil(performance.now() + (1000 * generated) / speed);
  const headers = { ...jsonType, ...delivery.headers };
  if (ending === 'error_event') {
    outbound.breaks();
    return outbound.respond(200, headers, reply.failedBody());
  }
  const isJunk = layout.has('junk_bytes');
  const body = isJunk ? junk(random) : Buffer.from(reply.body());
  const tokens = isJunk ? 0 : reply.bodyTokens;
  if (ending === 'cut' || ending === 'stall') {
    outbound.begin(200, { ...headers, 'content-length': body.length });
    await outbound.send({ bytes: body.subarray(0, body.length >> 1), events: 0, tokens: 0 });
    return ending === 'cut' ? outbound.disconnect() : undefined;
  }
  if (layout.has('split_bytes')) {
    outbound.begin(200, headers);
    await pour(outbound, bodyPackets(body, tokens, random), { ...directives, tokens_per_second: 0 });
    return outbound.finish();
  }
  outbound.respond(200, headers, body, tokens);
}
