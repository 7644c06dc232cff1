import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { expect, it } from 'vitest';
import { streamContext } from '../../test/support/pipeline.ts';
import { openaiChat } from '../dialects/openai-chat/index.ts';
import { Canceller } from '../domain/cancellation.ts';
import { charge } from '../domain/charge.ts';
import { systemClock } from '../domain/clock.ts';
import { nano, type Rate } from '../domain/money.ts';
import { certainPart } from '../tokenizer/cut-off.ts';
import type { Counted, Tokenizer } from '../tokenizer/tokenizer.ts';
import { GrowingHold } from './growing-hold.ts';
import { usageSoFar } from './meter.ts';
import { Passage } from './passage.ts';
import { createStreamCover } from './stream-cover.ts';

// Whatever comes in whatever pieces: what was sent is covered, and what is charged is what was sent.

const { request } = streamContext();
const perToken = (price: bigint) => (price * 1_000_000n) as Rate;
const prices = { rates: { input: perToken(1n), output: perToken(5n), reasoning: perToken(5n) } };

function countOf({ countable, isCutOff }: Counted): number {
  const { texts, overhead } = isCutOff ? certainPart(countable) : countable;
  return overhead + texts.reduce((sum, text) => sum + countTokens(text), 0);
}
const tokenizer = { count: async (_: string, counted: Counted) => countOf(counted) } as unknown as Tokenizer;

/** What a stream is charged if it ends behind these bytes. */
function chargeOf(sent: Buffer): bigint {
  const follower = openaiChat.followStream(streamContext());
  follower.push(sent);
  const reading = follower.reading();
  const input = countOf({ side: 'input', countable: request.prompt(), isCutOff: true });
  const output = countOf({ side: 'output', countable: reading.generated, isCutOff: true });
  const counted = { usage: { input, output, requests: 1 }, method: 'tiktoken' as const };
  return charge({ usage: usageSoFar(reading, counted).usage }, prices, 1_000_000n).amount;
}

const stepAmount = nano(512n * 5n);

interface Money {
  readonly held: bigint;
  /** What there is at most. */
  readonly balance: bigint;
  readonly mayOverdraw: boolean;
}

/** The hold grows as far as there is money. */
function holdOf({ held, balance, mayOverdraw }: Money): GrowingHold {
  let now = held;
  return new GrowingHold({
    heldAmount: nano(held),
    growth: {
      mayOverdraw,
      isUnbounded: false,
      worstAmount: nano(held < balance ? 100_000n : held),
      stepAmount,
    },
    extend: async (holdAmount) => {
      if (holdAmount > balance) return { kind: 'denied', limit: 'balance', available: nano(balance - now) };
      now = holdAmount;
      return { kind: 'extended', available: nano(balance - now) };
    },
    refresh: async () => false,
    onFault: (error) => {
      throw error;
    },
    clock: systemClock,
  });
}

async function relay(stream: Buffer, sizes: readonly number[], hold: GrowingHold) {
  const follower = openaiChat.followStream(streamContext());
  const sent: Buffer[] = [];
  const passage = new Passage({
    follower,
    cover: createStreamCover({
      hold,
      request,
      upstreamModel: 'gpt-4o',
      prices,
      multiplierPpm: 1_000_000n,
      tokenizer,
      onFault: (error) => {
        throw error;
      },
    }),
    signal: new Canceller(),
    mayDeliver: () => null,
    send: async (bytes) => {
      sent.push(...bytes);
    },
  });
  for (let from = 0, index = 0; from < stream.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    const ended = await passage.pass(stream.subarray(from, from + size));
    if (ended !== null) return { sent: Buffer.concat(sent), ended };
    from += size;
  }
  return { sent: Buffer.concat(sent), ended: null };
}

const word = fc.constantFrom(
  ' the',
  ' sea',
  'un',
  'believ',
  'able',
  '海',
  '\u{13000}\u{13001}\u{13002}',
  '😊',
  '\n\n',
  ' "usage": ',
  '1234',
);
const usage = fc.record({
  prompt_tokens: fc.nat(60),
  completion_tokens: fc.nat(400),
  completion_tokens_details: fc.record({ reasoning_tokens: fc.nat(400) }),
});
const chunk = fc
  .record({
    content: fc.array(word, { maxLength: 8 }).map((words) => words.join('')),
    // Most events tell none, and are passed on without a look.
    usage: fc.oneof({ weight: 19, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: usage }),
  })
  .filter(({ content, usage }) => content !== '' || usage !== null)
  .map(({ content, ...rest }) => ({ choices: [{ index: 0, delta: { content } }], ...rest }));
const end = fc.constantFrom('\n\n', '\r\n\r\n');
const stream = fc
  .array(
    fc.tuple(chunk, end).map(([data, blank]) => `data: ${JSON.stringify(data)}${blank}`),
    { maxLength: 120, size: 'max' },
  )
  .map((events) => Buffer.from(events.join('')));
const sizes = fc.array(fc.integer({ min: 1, max: 6_000 }), { minLength: 1, maxLength: 20 });

const money = fc
  .record({ held: fc.bigInt(60n, 2_000n), more: fc.bigInt(0n, 1_000n), mayOverdraw: fc.boolean() })
  .map(({ held, more, mayOverdraw }) => ({ held, balance: held + more, mayOverdraw }));

it('nothing is sent that is not covered, and where it ends, what was sent is what is charged', async () => {
  let cut = 0;
  await fc.assert(
    fc.asyncProperty(stream, sizes, money, async (bytes, pieces, given) => {
      const { sent, ended } = await relay(bytes, pieces, holdOf(given));
      if (ended === null) {
        expect(sent.equals(bytes)).toBe(true);
      } else {
        cut++;
        expect(bytes.subarray(0, sent.length).equals(sent)).toBe(true);
        const follower = openaiChat.followStream(streamContext());
        follower.push(sent);
        if (ended.delivered === null) expect(sent).toHaveLength(0);
        else expect(ended.delivered).toEqual(follower.reading());
      }
      const most = given.balance + (given.mayOverdraw ? stepAmount : 0n);
      if (sent.length > 0) expect(chargeOf(sent)).toBeLessThanOrEqual(most);
    }),
    { numRuns: 1000 },
  );
  expect(cut).toBeGreaterThan(100);
});

const only = (held: bigint): Money => ({ held, balance: held, mayOverdraw: false });

it('an event that is cut right before its end does not pass for the little that was missing of it', async () => {
  // Hieroglyphs have about as many tokens as bytes.
  const content = Array.from({ length: 200 }, (_, index) => String.fromCodePoint(0x13000 + index)).join('');
  const bytes = Buffer.from(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`);
  expect(chargeOf(bytes)).toBeGreaterThan(1500n);
  const { sent, ended } = await relay(bytes, [bytes.length - 4, 4], holdOf(only(1500n)));
  expect(sent).toHaveLength(0);
  expect(ended).toMatchObject({ refused: { code: 'QUOTA_BALANCE_EXCEEDED' } });
});
