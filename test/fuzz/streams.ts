import fc from 'fast-check';
import type { StreamReading } from '../../src/dialects/dialect.ts';
import { type Sample, samples } from './samples.ts';

/** What is done to the bytes of a stream, at a place that is a share of its length. */
type Mutation =
  | { readonly kind: 'flip' | 'cut' | 'remove' | 'repeat'; readonly at: number; readonly size: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array | string };

const place = fc.double({ min: 0, max: 1, noNaN: true });
const junk = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.constantFrom(
    '\n',
    '\r',
    '\r\n\r\n',
    '\n\n',
    'data:',
    'data: [DONE]\n\n',
    'event: error\n',
    ': comment\n\n',
    '\u{feff}',
    '{"error":{"message":"no"}}',
    ',"usage":{"prompt_tokens":-1,"input_tokens":1e99,"output_tokens":0.5,"promptTokenCount":"7"}',
    '"\\u0000\\ud800"',
    '[[[[[[',
    ']]}}',
    'null',
  ),
);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('flip', 'cut', 'remove', 'repeat'),
    at: place,
    size: fc.integer({ min: 1, max: 200 }),
  }),
  fc.record({ kind: fc.constant('insert'), at: place, bytes: junk }),
);

function mutate(bytes: Buffer, mutations: readonly Mutation[]): Buffer {
  let mutated = Buffer.from(bytes);
  for (const change of mutations) {
    const at = Math.floor(change.at * mutated.length);
    const [before, after] = [mutated.subarray(0, at), mutated.subarray(at)];
    switch (change.kind) {
      case 'flip':
        if (at < mutated.length) mutated[at] = (mutated[at] ?? 0) ^ (1 << (change.size % 8));
        break;
      case 'cut':
        mutated = Buffer.from(before);
        break;
      case 'remove':
        mutated = Buffer.concat([before, after.subarray(change.size)]);
        break;
      case 'repeat':
        mutated = Buffer.concat([before, after.subarray(0, change.size), after]);
        break;
      case 'insert':
        mutated = Buffer.concat([before, Buffer.from(change.bytes as string), after]);
        break;
    }
  }
  return mutated;
}

/** Sizes of chunks, repeated until the stream is used up. */
const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 12 });

interface Followed {
  readonly sent: Buffer;
  readonly heldBack: Buffer;
  readonly closed: boolean;
  readonly reading: StreamReading;
}

function follow({ dialect, context }: Sample, bytes: Buffer, chunkSizes: readonly number[]): Followed {
  const follower = dialect.followStream(context);
  const sent: Buffer[] = [];
  let from = 0;
  for (let index = 0; from < bytes.length; index++) {
    const size = chunkSizes[index % chunkSizes.length] ?? 1;
    // A chunk's memory is the network's, which reuses it: what was let through is copied as it is sent.
    const chunk = Buffer.from(bytes.subarray(from, from + size));
    for (const piece of follower.push(chunk)) sent.push(Buffer.from(piece));
    from += size;
  }
  const heldBack = Buffer.concat(follower.end());
  return { sent: Buffer.concat(sent), heldBack, closed: follower.closed, reading: follower.reading() };
}

function shown({ reading, closed, sent, heldBack }: Followed): string {
  const bytes = Buffer.concat([sent, heldBack]).toString('latin1');
  return JSON.stringify({ ...reading, closed, bytes }, (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
}

function checkUsage({ reading }: Followed): void {
  for (const usage of [reading.usage ?? {}, ...reading.otherModels.map((other) => other.usage)]) {
    for (const [usageClass, count] of Object.entries(usage)) {
      if (!Number.isSafeInteger(count) || Number(count) < 0) throw new Error(`${usageClass} is ${count}`);
    }
  }
}

/** Every byte reaches the client, once and in order, but for whole events that it didn't ask for. */
function checkDelivery(given: Buffer, { sent, heldBack }: Followed, { context }: Sample): void {
  const delivered = Buffer.concat([sent, heldBack]);
  if (context.request.asksUsage ? !delivered.equals(given) : delivered.length > given.length) {
    throw new Error('bytes were lost, made up or changed');
  }
}

/** A stream that a provider might send when everything goes wrong, read the same however it is cut. */
export function streamProperty() {
  return fc.property(
    fc.constantFrom(...samples()),
    fc.array(mutation, { maxLength: 6 }),
    sizes,
    sizes,
    (sample, mutations, someSizes, otherSizes) => {
      const bytes = mutate(sample.bytes, mutations);
      const followed = follow(sample, bytes, someSizes);
      checkUsage(followed);
      checkDelivery(bytes, followed, sample);
      const [one, other] = [shown(followed), shown(follow(sample, bytes, otherSizes))];
      if (one !== other) throw new Error(`read differently when cut differently:\n${one}\n${other}`);
    },
  );
}
