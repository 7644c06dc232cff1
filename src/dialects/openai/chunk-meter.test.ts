import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { EventFate, StreamReading } from '../dialect.ts';
import { ChatChoices } from '../openai-chat/choices.ts';
import { SseFramer } from '../sse.ts';
import { ChunkMeter } from './chunk-meter.ts';

// On the chunks of chat completions, which most providers send.

interface Options {
  readonly provider?: string;
  readonly clientAsksUsage?: boolean;
}

interface Metered extends StreamReading {
  readonly fates: readonly EventFate[];
}

function meterChunks(
  chunks: readonly Buffer[],
  { provider = 'openai', clientAsksUsage = false }: Options = {},
): Metered {
  const framer = new SseFramer();
  const meter = new ChunkMeter(new ChatChoices(quirksOf(provider), 'delta'), clientAsksUsage);
  const events = chunks.flatMap((chunk) => framer.push(chunk));
  const last = framer.end();
  const fates = [...events, ...(last === null ? [] : [last])].map((event) => meter.take(event));
  return { ...meter.reading(), fates };
}

const data = (value: unknown) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
const delta = (value: Record<string, unknown>, others: Record<string, unknown> = {}) => ({
  choices: [{ index: 0, delta: value, finish_reason: null }],
  ...others,
});
const finish = (reason = 'stop', others: Record<string, unknown> = {}) => ({
  choices: [{ index: 0, delta: {}, finish_reason: reason }],
  ...others,
});
const usage = (prompt: number, completion: number) => ({
  usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
});
const onlyUsage = (prompt: number, completion: number) => ({ choices: [], ...usage(prompt, completion) });
const done = '[DONE]';

const meter = (events: readonly unknown[], options?: Options) =>
  meterChunks([Buffer.from(events.map(data).join(''))], options);

describe('what was generated at most', () => {
  const growths = (events: readonly unknown[]) => {
    const framer = new SseFramer();
    const chunks = new ChunkMeter(new ChatChoices(quirksOf('openai'), 'delta'), true);
    return events.map((event) => {
      const before = chunks.generatedAtMost;
      for (const one of framer.push(Buffer.from(data(event)))) chunks.take(one);
      return chunks.generatedAtMost - before;
    });
  };
  const text = delta({ content: 'four' });
  const [plain, beyond] = [4, 2 ** 32];

  test('is the text where there was text before', () => {
    expect(growths([text, text, text]).slice(1)).toEqual([plain, plain]);
  });

  test('is beyond any room where text takes a usage back, of the output or at the end of the prompt as well', () => {
    const opening = delta({ role: 'assistant', content: '' }, usage(0, 0));
    expect(growths([opening, text, text, finish()]).slice(1)).toEqual([beyond, plain, beyond]);
    expect(growths([text, delta({ content: 'four' }, usage(9, 1)), text]).at(-1)).toBe(beyond);
  });

  test('has what comes around a text once more where the model is another', () => {
    const [, other, again] = growths([
      delta({ content: 'four' }, { model: 'gpt-5' }),
      delta({}, { model: 'x' }),
      delta({ content: 'four' }, { model: 'gpt-5' }),
    ]);
    expect(other).toBeGreaterThan(20);
    expect(again).toBeGreaterThan(20);
  });
});

describe('what becomes of each event', () => {
  const events = [delta({ content: 'Hi' }), finish(), onlyUsage(9, 1), done];

  test('the usage that only we asked for is kept, the rest goes on, and [DONE] closes', () => {
    expect(meter(events).fates).toEqual(['relay', 'relay', 'keep', 'close']);
  });

  test('the usage that the client asked for goes on', () => {
    expect(meter(events, { clientAsksUsage: true }).fates).toEqual(['relay', 'relay', 'relay', 'close']);
  });

  test.each([
    ['usage beside a choice', finish('stop', usage(9, 1))],
    ['no choices and no usage', { choices: [], prompt_filter_results: [] }],
    ['no choices and usage null', { choices: [], usage: null }],
    ['usage without choices', { usage: usage(9, 1).usage }],
    ['an error with usage', { choices: [], error: { message: 'x' }, ...usage(9, 1) }],
    ['a list', []],
    ['junk', '{"choices":[{"delta":{"content":"Hi"'],
    ['nothing', ''],
  ])('%s goes on', (_, event) => {
    expect(meter([event]).fates).toEqual(['relay']);
  });

  test('[DONE] with blanks around it closes, and so does one without its blank line', () => {
    expect(meterChunks([Buffer.from('data:  [DONE] \r\n\r\n')]).fates).toEqual(['close']);
    expect(meterChunks([Buffer.from('data: [DONE]')]).fates).toEqual(['close']);
  });
});

describe('usage of a stream', () => {
  test.each([
    ['in a chunk of its own', [delta({ content: 'Hi' }, { usage: null }), finish(), onlyUsage(9, 1), done]],
    ['on the finishing chunk', [delta({ content: 'Hi' }), finish('stop', usage(9, 1)), done]],
    [
      'in every chunk, growing',
      [
        delta({ content: 'H' }, usage(9, 0)),
        delta({ content: 'i' }, usage(9, 1)),
        finish('stop', usage(9, 1)),
      ],
    ],
    [
      'beside choices after the finish',
      [delta({ content: 'Hi' }), finish(), delta({ content: '' }, usage(9, 1)), done],
    ],
    [
      'followed by chunks that say null',
      [delta({ content: 'Hi' }), finish('stop', usage(9, 1)), { choices: [], usage: null }, done],
    ],
    [
      "under Groq's own name",
      [delta({ content: 'Hi' }), finish('stop', { x_groq: { id: 'x', ...usage(9, 1) } })],
    ],
    [
      'twice under both names',
      [delta({ content: 'Hi' }), finish('stop', { x_groq: usage(9, 1) }), onlyUsage(9, 1), done],
    ],
    [
      'beside an error',
      [
        delta({ content: 'Hi' }),
        { error: { message: 'x' }, choices: [{ index: 0, delta: {} }], ...usage(9, 1) },
      ],
    ],
  ])('%s is the usage', (_, events) => {
    expect(meter(events).usage).toEqual({ input: 9, output: 1 });
  });

  test.each([
    ['is nowhere', [delta({ content: 'Hi' }), finish(), done]],
    [
      'is null everywhere',
      [delta({ content: 'Hi' }, { usage: null }), finish('stop', { usage: null }), done],
    ],
    ['is all zero', [delta({ content: 'Hi' }), finish(), onlyUsage(0, 0), done]],
    ['is unusable', [delta({ content: 'Hi' }), finish(), onlyUsage(-9, 1), done]],
    [
      'came before the last of the text',
      [delta({ content: 'H' }, usage(9, 1)), delta({ content: 'i' }), finish(), done],
    ],
  ])('where it %s, the text is there to be counted', (_, events) => {
    const { usage: read, generated } = meter(events);
    expect(read).toBeNull();
    expect(generated).toEqual({ texts: ['Hi'], overhead: 0 });
  });

  test('while a stream runs, usage that is behind the text is better than none', () => {
    expect(meter([delta({ content: 'H' }, usage(9, 1)), delta({ content: 'i' })]).usage).toEqual({
      input: 9,
      output: 1,
    });
  });
});

describe('the text of a stream', () => {
  test("a message that repeats what was said so far, beside each delta, isn't counted", () => {
    const chunk = (content: string, sofar: string) => ({
      choices: [{ index: 0, delta: { content }, message: { content: sofar } }],
    });
    expect(meter([chunk('He', 'He'), chunk('llo', 'Hello')]).generated.texts).toEqual(['Hello']);
  });

  test('each choice has a text of its own, however they are interleaved', () => {
    const chunk = (index: number, content: string) => ({ choices: [{ index, delta: { content } }] });
    const both = { choices: [...chunk(1, 'y').choices, ...chunk(0, 'b').choices] };
    expect(meter([chunk(0, 'a'), chunk(1, 'x'), both]).generated.texts).toEqual(['ab', 'xy']);
  });

  test('it can be read at any event, and reading changes nothing', () => {
    const framer = new SseFramer();
    const streaming = new ChunkMeter(new ChatChoices(quirksOf('openai'), 'delta'), false);
    const seen = ['a', 'b', 'c'].map((content) => {
      for (const event of framer.push(Buffer.from(data(delta({ content }))))) streaming.take(event);
      return streaming.reading().generated.texts;
    });
    expect(seen).toEqual([['a'], ['ab'], ['abc']]);
  });
});

describe('how a stream went', () => {
  test('the last service tier named is the one that served it', () => {
    expect(
      meter([delta({}, { service_tier: 'auto' }), finish('stop', { service_tier: 'flex' })]),
    ).toMatchObject({ serviceTier: 'flex' });
    expect(meter([delta({}, { service_tier: null })]).serviceTier).toBeNull();
  });

  test('what upstream reports is kept as it came, with the cost that it states', () => {
    const stated = { ...usage(9, 1).usage, cost: 0.5 };
    expect(meter([finish('stop', { usage: stated })])).toMatchObject({
      reported: stated,
      statedCost: 500_000_000n,
    });
  });

  test('the last finish reason of the first choice is the finish reason', () => {
    const second = { choices: [{ index: 1, delta: {}, finish_reason: 'length' }] };
    expect(meter([finish('tool_calls'), finish('stop'), second, delta({})]).finishReason).toBe('stop');
    expect(meter([delta({ content: 'Hi' })]).finishReason).toBeNull();
  });

  test.each([
    ['an error member', data({ error: { message: 'no more', code: 400 } }), 'no more'],
    ['an error that is a text', data({ error: 'no more' }), 'no more'],
    ['an event of type error', `event: error\n${data({ error: { message: 'no more' } })}`, 'no more'],
    [
      'an event of type error with the error itself',
      `event: error\n${data({ message: 'no more' })}`,
      'no more',
    ],
    ['an event of type error in plain text', `event: error\n${data('no more')}`, 'no more'],
    ['an error without message', data({ error: { type: 'overloaded' } }), 'overloaded'],
    ['an error that says nothing', data({ error: {} }), 'unnamed error'],
  ])('%s is an error, and alone it is no beginning', (_, event, message) => {
    const reading = meterChunks([Buffer.from(event)]);
    expect(reading).toMatchObject({ error: message, begun: false, usage: null, fates: ['relay'] });
  });

  test('an error after text leaves the text to be counted', () => {
    const reading = meter([delta({ content: 'Hi' }), { error: { message: 'cut' } }]);
    expect(reading).toMatchObject({ error: 'cut', begun: true, generated: { texts: ['Hi'] } });
  });

  test.each([
    ['comments', ': OPENROUTER PROCESSING\n\n:\n\n', false],
    ['an event without data', 'event: ping\n\nid: 1\n\n', false],
    ['a chunk without text', data({ choices: [], error: null }), true],
    ['junk', data('{'), true],
    ['the end', data(done), true],
    ['nothing', '', false],
  ])('%s: begun or not', (_, stream, begun) => {
    expect(meterChunks([Buffer.from(stream)])).toMatchObject({ begun, error: null });
  });
});

describe('any stream', () => {
  const text = fc.constantFrom('Hello', ' wörld', '😀', '"', '\\n', '');
  const event = fc.oneof(
    text.map((content) => data(delta({ content }))),
    text.map((content) => data(delta({ reasoning: content }))),
    fc.tuple(fc.nat(2), text).map(([index, content]) => data({ choices: [{ index, delta: { content } }] })),
    fc
      .tuple(fc.nat(2), text)
      .map(([index, name]) => data(delta({ tool_calls: [{ index, function: { name, arguments: '{}' } }] }))),
    fc.constantFrom(
      ': ping\n\n',
      'data: junk\n\n',
      'data: {}\r\n\r\n',
      data(done),
      data({ error: 'x' }),
      data({ choices: [], usage: null }),
    ),
    fc.tuple(fc.nat(100), fc.nat(100)).map(([prompt, completion]) => data(onlyUsage(prompt, completion))),
    fc.constantFrom('stop', 'length').map((reason) => data(finish(reason, usage(3, 4)))),
  );
  const stream = fc.array(event, { maxLength: 20 }).map((events) => Buffer.from(events.join('')));

  test('gives the same usage, text and fates wherever it is cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 10 }), (bytes, places) => {
        const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
        const chunks = [0, ...at].map((from, index) =>
          Buffer.from(bytes.subarray(from, at[index] ?? bytes.length)),
        );
        expect(meterChunks(chunks)).toEqual(meterChunks([bytes]));
      }),
      { numRuns: 500 },
    );
  });

  test('never brings the meter down, however mutilated, nor makes usage that is none', () => {
    const damage = fc.array(
      fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0x22, 0x7b, 0x5d, 0x30, 0x2d))),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(stream, damage, (bytes, changes) => {
        const mutilated = Buffer.from(bytes);
        for (const [place, byte] of changes)
          if (mutilated.length > 0) mutilated[place % mutilated.length] = byte;
        const { usage: read, generated, fates } = meterChunks([mutilated]);
        expect(fates.filter((fate) => fate === 'keep').length).toBeLessThanOrEqual(
          bytes.toString().split('usage').length,
        );
        expect(
          Object.values(read ?? {}).every((count) => Number.isSafeInteger(count) && Number(count) >= 0),
        ).toBe(true);
        expect(generated.texts.join('').length).toBeLessThanOrEqual(mutilated.length);
      }),
      { numRuns: 1_000 },
    );
  });

  test('with any JSON in the place of its members goes through', () => {
    const members = fc.record(
      {
        choices: fc.oneof(
          fc.jsonValue(),
          fc.array(
            fc.record({
              index: fc.jsonValue(),
              delta: fc.oneof(
                fc.jsonValue(),
                fc.dictionary(
                  fc.constantFrom(
                    'content',
                    'reasoning',
                    'reasoning_details',
                    'tool_calls',
                    'function_call',
                    'audio',
                    'refusal',
                  ),
                  fc.jsonValue(),
                ),
              ),
              finish_reason: fc.jsonValue(),
            }),
          ),
        ),
        usage: fc.jsonValue(),
        x_groq: fc.jsonValue(),
        error: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(members, { maxLength: 4 }), (chunks) => {
        expect(meter(chunks).fates).toHaveLength(chunks.length);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('what an event adds at most', () => {
  const call = { index: 0, function: { name: 'f', arguments: '{}' } };
  const annotations = [{ type: 'url_citation' }];
  const ofEvent = (event: object) => data(event).length;
  const beyondAnyRoom = 1_000_000;

  test.each([
    ['a text is its bytes', [delta({ content: 'a' })], delta({ content: 'ä' }), 2],
    ['a reasoning is its bytes', [delta({ content: 'a' })], delta({ content: '', reasoning: 'abc' }), 3],
    ['the first text is all of its event', [], delta({ content: 'a' }), null],
    ['a call is all of its event', [delta({ content: 'a' })], delta({ tool_calls: [call] }), null],
    ['so is what follows one', [delta({ content: 'a' }), delta({ tool_calls: [call] })], finish(), null],
    ['so is another model', [delta({ content: 'a' })], delta({ content: 'a' }, { model: 'gpt-5' }), null],
    ['a search has no bound', [delta({ content: 'a' })], delta({ annotations }), beyondAnyRoom],
    ['nor has a service tier', [delta({ content: 'a' })], { ...finish(), service_tier: 'x' }, beyondAnyRoom],
  ] as const)('%s', (_, before, event, expected) => {
    const metering = new ChunkMeter(new ChatChoices(quirksOf('openai'), 'delta'), false);
    const framer = new SseFramer();
    const take = (events: readonly object[]) => {
      for (const one of framer.push(Buffer.from(events.map(data).join('')))) metering.take(one);
    };
    take(before);
    const atMost = metering.generatedAtMost;
    take([event]);
    const added = metering.generatedAtMost - atMost;
    if (expected === beyondAnyRoom) expect(added).toBeGreaterThan(beyondAnyRoom);
    else expect(added).toBe(expected ?? ofEvent(event));
  });
});
