import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DialectRequest, StreamFollower } from '../dialect.ts';
import { anthropicMessages } from './index.ts';
import { readRequest } from './request.ts';

function requestOf(): DialectRequest {
  const body = {
    model: 'claude-sonnet-4-5',
    max_tokens: 9,
    stream: true,
    messages: [{ role: 'user', content: 'Hi' }],
  };
  const request = readRequest({
    path: '',
    query: new URLSearchParams(),
    body: Buffer.from(JSON.stringify(body)),
  });
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

const event = (data: { type: string } & Record<string, unknown>) =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const ping = event({ type: 'ping' });
const startUsage = {
  input_tokens: 10,
  cache_read_input_tokens: 500,
  cache_creation_input_tokens: 30,
  cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
  output_tokens: 1,
  service_tier: 'standard',
};
const start = (usage: unknown = startUsage) =>
  event({
    type: 'message_start',
    message: { id: 'msg_1', model: 'claude-sonnet-4-5-20250929', content: [], usage },
  });
const blockStart = (index: number, block: unknown) =>
  event({ type: 'content_block_start', index, content_block: block });
const delta = (index: number, change: unknown) =>
  event({ type: 'content_block_delta', index, delta: change });
const text = (words: string) => delta(0, { type: 'text_delta', text: words });
const end = (usage: unknown, reason = 'end_turn') =>
  event({ type: 'message_delta', delta: { stop_reason: reason }, usage });
const stop = event({ type: 'message_stop' });
const words = blockStart(0, { type: 'text', text: '' }) + text('Hel') + text('lo');
const overloaded = event({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });

function followerOf(): StreamFollower {
  const quirks = {} as never;
  return anthropicMessages.followStream({ quirks, request: requestOf(), contentType: 'text/event-stream' });
}

function follow(stream: string) {
  const follower = followerOf();
  const passed = Buffer.concat(follower.push(Buffer.from(stream))).toString();
  const heldBack = Buffer.concat(follower.end()).toString();
  return { passed, heldBack, closed: follower.closed, reading: follower.reading() };
}

describe('a stream', () => {
  test('is metered by the counters of its end, over those of its start', () => {
    const { reading } = follow(start() + ping + words + end({ output_tokens: 7 }) + stop);
    expect(reading).toMatchObject({
      usage: { input: 10, cache_read: 500, cache_write_5m: 10, cache_write_1h: 20, output: 7 },
      finishReason: 'end_turn',
      serviceTier: 'standard',
      error: null,
      begun: true,
      usageIsFinal: true,
      generated: { texts: ['Hello'] },
      reported: { ...startUsage, output_tokens: 7 },
    });
  });

  test('takes cumulative counters as they are: never added, and also where they went down', () => {
    const first = end({ input_tokens: 60_000, output_tokens: 9 });
    const last = end({ input_tokens: 600, cache_creation_input_tokens: 45, output_tokens: 20 });
    expect(follow(start() + words + first + last + stop).reading.usage).toEqual({
      input: 600,
      cache_read: 500,
      cache_write_5m: 25,
      cache_write_1h: 20,
      output: 20,
    });
  });

  test('holds its closing event back until the commit, and nothing else', () => {
    const open = `${start()}: comment\n\n${ping}${words}${end({ output_tokens: 7 })}`;
    expect(follow(open + stop)).toMatchObject({ passed: open, heldBack: stop, closed: true });
    expect(follow(open)).toMatchObject({ passed: open, heldBack: '', closed: false });
  });

  test('every kind of block is text to count', () => {
    const stream =
      start() +
      blockStart(0, { type: 'thinking', thinking: '' }) +
      delta(0, { type: 'thinking_delta', thinking: 'Hm' }) +
      delta(0, { type: 'signature_delta', signature: 'c2lnbmF0dXJl' }) +
      blockStart(1, { type: 'tool_use', name: 'add', input: {} }) +
      delta(1, { type: 'input_json_delta', partial_json: '{"a":' }) +
      delta(1, { type: 'input_json_delta', partial_json: '1}' }) +
      blockStart(2, { type: 'compaction', content: null }) +
      delta(2, { type: 'compaction_delta', content: 'Summary' });
    expect(follow(stream).reading.generated.texts).toEqual(['Hm', 'add{"a":1}', 'Summary']);
  });

  test('that broke off has the input of its start, for the output to be counted, and the searches that it made', () => {
    const { reading } = follow(start() + words);
    expect(reading).toMatchObject({
      usage: { input: 10, cache_read: 500, output: 1 },
      usageIsFinal: false,
      finishReason: null,
    });
    const search =
      blockStart(1, { type: 'server_tool_use', name: 'web_search', input: {} }) +
      blockStart(2, { type: 'web_search_tool_result', content: [{ type: 'web_search_result' }] }) +
      blockStart(3, { type: 'web_search_tool_result', content: { error_code: 'max_uses_exceeded' } });
    expect(follow(start() + search).reading.usage).toMatchObject({ web_search: 1 });
    expect(
      follow(start() + search + words + end({ output_tokens: 9 }) + stop).reading.usage,
    ).not.toHaveProperty('web_search');
  });

  test('that ended without the counters of its end is for us to count', () => {
    expect(follow(start() + words + stop).reading.usage).toBeNull();
    expect(follow(start() + words + end(undefined) + stop).reading.usage).toBeNull();
    expect(follow(start() + words + end({ input_tokens: 12 }) + stop).reading.usage).toBeNull();
    expect(follow(start() + words + end({ output_tokens: 7 }) + text('!') + stop).reading.usage).toBeNull();
    expect(follow(words + end({ output_tokens: 7 }) + stop).reading.usage).toBeNull();
  });

  test('with an error in its middle keeps the input that was counted, and says what went wrong', () => {
    expect(follow(start() + words + overloaded)).toMatchObject({
      passed: start() + words + overloaded,
      closed: false,
      reading: {
        error: 'overloaded_error: Overloaded',
        begun: true,
        usageIsFinal: false,
        usage: { input: 10, cache_read: 500 },
      },
    });
  });

  test('of nothing but an error, pings and comments has not begun', () => {
    const { reading } = follow(`: hello\n\n${ping}${overloaded}`);
    expect(reading).toMatchObject({ begun: false, usage: null, error: 'overloaded_error: Overloaded' });
    expect(follow('event: error\ndata: broken\n\n').reading).toMatchObject({ begun: false, error: 'broken' });
  });

  test('declined before a word of it is as if it had never begun, and reaches the client all the same', () => {
    const declined = start() + end({ output_tokens: 0 }, 'refusal') + stop;
    expect(follow(declined)).toMatchObject({
      heldBack: stop,
      reading: {
        begun: false,
        usage: null,
        error: expect.stringContaining('refused'),
        finishReason: 'refusal',
      },
    });
    expect(follow(start() + words + end({ output_tokens: 7 }, 'refusal') + stop).reading).toMatchObject({
      begun: true,
      error: null,
      usage: { output: 7 },
    });
  });

  test('is metered alike however it is cut', () => {
    const bytes = Buffer.from((start() + words + end({ output_tokens: 7 }) + stop).replaceAll('\n', '\r\n'));
    const whole = follow(bytes.toString()).reading;
    expect(whole.usageIsFinal).toBe(true);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
        const follower = followerOf();
        const sent: Buffer[] = [];
        for (let from = 0, index = 0; from < bytes.length; index++) {
          const size = sizes[index % sizes.length] ?? 1;
          sent.push(...follower.push(bytes.subarray(from, from + size)));
          from += size;
        }
        expect(Buffer.concat([...sent, ...follower.end()])).toEqual(bytes);
        expect(follower.reading()).toEqual(whole);
      }),
    );
  });

  test('no junk in the place of events brings the meter down', () => {
    const types = [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'message_delta',
      'message_stop',
      'error',
      'x',
    ];
    const junk = fc.record({
      type: fc.constantFrom(...types),
      message: fc.jsonValue(),
      index: fc.jsonValue(),
      content_block: fc.jsonValue(),
      delta: fc.jsonValue(),
      usage: fc.jsonValue(),
      error: fc.jsonValue(),
    });
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            junk.map(event),
            fc.string().map((line) => `data: ${line}\n\n`),
          ),
        ),
        (events) => {
          expect(follow(events.join('')).reading.generated.overhead).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });
});
