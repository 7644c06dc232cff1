import { describe, expect, test } from 'vitest';
import { refusal } from '../../domain/errors.ts';
import { quirksOf } from '../../domain/quirks.ts';
import type { EventFate, StreamReading } from '../dialect.ts';
import { openaiResponses } from './index.ts';
import { ResponseStreamMeter } from './stream-meter.ts';

type Event = Record<string, unknown>;

const usage = {
  input_tokens: 10,
  input_tokens_details: { cached_tokens: 4 },
  output_tokens: 8,
  output_tokens_details: { reasoning_tokens: 3 },
  total_tokens: 18,
};
const message = { type: 'message', id: 'msg_1', content: [{ type: 'output_text', text: 'Hello world' }] };
const created = {
  type: 'response.created',
  response: { id: 'resp_1', status: 'in_progress', service_tier: 'auto', usage: null, output: [] },
};
const inProgress = { ...created, type: 'response.in_progress' };
const text = (delta: string, others = {}) => ({
  type: 'response.output_text.delta',
  output_index: 0,
  content_index: 0,
  delta,
  ...others,
});
const closing = (type: string, response: object) => ({
  type: `response.${type}`,
  response: { id: 'resp_1', model: 'gpt-5-mini-2025-08-07', ...response },
});
const completed = closing('completed', {
  status: 'completed',
  service_tier: 'flex',
  usage,
  output: [message],
});

function follow(events: readonly (Event | string)[]): { fates: EventFate[]; reading: StreamReading } {
  const meter = new ResponseStreamMeter({ quirks: quirksOf('openai') });
  const fates = events.map((event) => {
    const data = typeof event === 'string' ? event : JSON.stringify(event);
    return meter.take({ raw: Buffer.from(''), type: null, data });
  });
  return { fates, reading: meter.reading() };
}

describe('a stream that ran to its end', () => {
  const { fates, reading } = follow([
    created,
    inProgress,
    text('Hello '),
    text('world'),
    completed,
    '[DONE]',
  ]);

  test('waits for the commit from the event on that carries the whole answer', () => {
    expect(fates).toEqual(['relay', 'relay', 'relay', 'relay', 'close', 'close']);
  });

  test('is metered by what that event says', () => {
    expect(reading).toEqual({
      usage: { input: 6, cache_read: 4, output: 5, reasoning: 3 },
      units: {},
      otherModels: [],
      generated: { texts: ['Hello world'], overhead: 1 },
      finishReason: 'completed',
      error: null,
      serviceTier: 'flex',
      statedCost: null,
      reported: usage,
      answerId: 'resp_1',
      responseId: 'resp_1',
      responseModel: 'gpt-5-mini-2025-08-07',
      begun: true,
      usageIsFinal: true,
    });
  });

  test.each([
    [
      'incomplete',
      { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
      'max_output_tokens',
    ],
    ['incomplete', { status: 'incomplete', incomplete_details: null }, 'incomplete'],
    ['failed', { status: 'failed', error: { code: 'server_error', message: 'Broken.' } }, 'failed'],
    ['cancelled', { status: 'cancelled' }, 'cancelled'],
  ])('ends with response.%s too', (type, response, finishReason) => {
    const end = follow([created, text('Hi'), closing(type, { ...response, usage })]);
    expect(end.fates.at(-1)).toBe('close');
    expect(end.reading).toMatchObject({ finishReason, usage: { input: 6 }, usageIsFinal: true });
  });

  test('all-zero usage beside output is no usage, also where the answer was cut off at its maximum', () => {
    const zero = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };
    const response = { status: 'incomplete', usage: zero, output: [message] };
    const { reading: counted } = follow([created, text('Hello world'), closing('incomplete', response)]);
    expect(counted).toMatchObject({ usage: null, reported: zero, generated: { texts: ['Hello world'] } });
  });

  test('has its units of tools and its images beside its tokens', () => {
    const items = [
      { type: 'web_search_call', id: 'ws_1', action: { type: 'search' } },
      { type: 'image_generation_call', id: 'ig_1', result: 'iVBO', quality: 'low', size: '1024x1024' },
    ];
    const done = items.map((item, index) => ({
      type: 'response.output_item.done',
      output_index: index,
      item,
    }));
    const end = closing('completed', {
      status: 'completed',
      usage,
      output: items,
      tools: [{ type: 'image_generation', model: 'gpt-image-2' }],
    });
    expect(follow([created, ...done, end]).reading).toMatchObject({
      usage: { input: 6, cache_read: 4, output: 5, reasoning: 3, web_search: 1 },
      otherModels: [{ model: 'gpt-image-2', usage: { output_image: 272 } }],
    });
  });
});

describe('a stream that is still running', () => {
  test('has not begun before there is anything of its output', () => {
    for (const type of ['queued', 'created', 'in_progress']) {
      expect(follow([{ ...created, type: `response.${type}` }]).reading).toMatchObject({
        begun: false,
        finishReason: null,
      });
    }
    const added = {
      type: 'response.output_item.added',
      output_index: 0,
      item: { type: 'reasoning', summary: [] },
    };
    expect(follow([created, added]).reading).toMatchObject({ begun: true, finishReason: null, usage: null });
  });

  test('is not begun by a sign of life', () => {
    expect(follow([created, { type: 'keepalive', sequence_number: 2 }]).reading.begun).toBe(false);
  });

  test('"auto" says nothing of the service tier, and a name does', () => {
    expect(follow([created]).reading.serviceTier).toBeNull();
    expect(follow([{ ...created, response: { service_tier: 'priority' } }]).reading.serviceTier).toBe(
      'priority',
    );
  });

  test('has the text of every kind of delta, and no padding', () => {
    const deltas = [
      text('Hel', { obfuscation: 'x7Gq' }),
      text('lo', { obfuscation: 'pQ' }),
      text('part', { content_index: 1 }),
      { type: 'response.refusal.delta', output_index: 0, content_index: 2, delta: 'I will not.' },
      { type: 'response.reasoning_summary_text.delta', output_index: 1, summary_index: 0, delta: 'in short' },
      { type: 'response.reasoning_text.delta', output_index: 1, content_index: 0, delta: 'at length' },
      { type: 'response.mcp_call_arguments.delta', item_id: 'mcp_1', delta: '{"m":1}' },
      { type: 'response.code_interpreter_call_code.delta', output_index: 3, delta: 'print(1)' },
      { type: 'response.shell_call_command.delta', output_index: 4, command_index: 0, delta: 'ls' },
      { type: 'response.shell_call_command.delta', output_index: 4, command_index: 1, delta: 'pwd' },
      { type: 'response.shell_call_output_content.delta', output_index: 5, delta: { stdout: 'x' } },
      { type: 'response.audio.delta', output_index: 6, delta: 'UklGRg' },
      { type: 'response.audio.transcript.delta', output_index: 6, delta: 'spoken' },
      { type: 'response.future_kind.delta', output_index: 7, delta: 'new' },
    ];
    expect(follow([created, ...deltas]).reading.generated.texts).toEqual([
      'Hello',
      'part',
      'I will not.',
      'in short',
      'at length',
      '{"m":1}',
      'print(1)',
      'ls',
      'pwd',
      'spoken',
      'new',
    ]);
  });

  test('has the name of a call before its arguments, and those where no delta brings them', () => {
    const item = { type: 'function_call', name: 'find', arguments: '' };
    const added = { type: 'response.output_item.added', output_index: 0, item };
    const args = { type: 'response.function_call_arguments.done', output_index: 0, arguments: '{}' };
    const done = { type: 'response.output_item.done', output_index: 0, item: { ...item, arguments: '{}' } };
    const called = { texts: ['find', '{}'], overhead: 7 };
    expect(follow([created, added, args]).reading.generated).toEqual(called);
    expect(follow([created, added, args, done]).reading.generated).toEqual(called);
    expect(follow([created, done]).reading.generated).toEqual(called);
    const named = { type: 'response.output_item.added', item: { ...item, id: 'fc_1' } };
    const pieces = { type: 'response.function_call_arguments.delta', item_id: 'fc_1', delta: '{}' };
    expect(follow([created, named, pieces]).reading.generated).toEqual(called);
  });

  test('has the images that came out, which are paid for whether the rest comes or not', () => {
    const item = {
      type: 'image_generation_call',
      id: 'ig_1',
      result: 'iVBO',
      quality: 'low',
      size: '1024x1024',
    };
    const done = { type: 'response.output_item.done', output_index: 0, item };
    expect(follow([created, done]).reading.otherModels).toEqual([
      { model: 'gpt-image-1', usage: { output_image: 272 } },
    ]);
  });

  test('never has less text than before', () => {
    const events = [
      text('Hello '),
      text('world'),
      { type: 'response.output_text.done', output_index: 0, content_index: 0, text: 'Hello world' },
      { type: 'response.output_item.done', output_index: 0, item: message },
      closing('completed', { status: 'completed', output: [] }),
    ];
    let before = 0;
    for (let count = 1; count <= events.length; count++) {
      const length = follow([created, ...events.slice(0, count)]).reading.generated.texts.join('').length;
      expect(length).toBeGreaterThanOrEqual(before);
      before = length;
    }
    expect(before).toBe('Hello world'.length);
  });
});

describe('a stream that failed', () => {
  const error = {
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    message: 'No money left.',
    param: null,
  };
  const failed = closing('failed', {
    status: 'failed',
    error: { code: 'insufficient_quota', message: 'No money left.' },
    usage: null,
    output: [],
  });

  test.each([
    ['as OpenAI sends it', { type: 'error', sequence_number: 2, error }],
    [
      'as OpenAI documents it',
      {
        type: 'error',
        sequence_number: 2,
        code: 'insufficient_quota',
        message: 'No money left.',
        param: null,
      },
    ],
    ['as other providers send it', { error }],
  ])('before anything was generated has not begun and has no usage, with an error %s', (_, event) => {
    const { fates, reading } = follow([created, inProgress, event, failed]);
    expect(fates).toEqual(['relay', 'relay', 'relay', 'close']);
    expect(reading).toMatchObject({
      begun: false,
      usage: null,
      error: 'No money left.',
      finishReason: 'failed',
    });
    expect(follow([created, event]).reading).toMatchObject({
      begun: false,
      error: 'No money left.',
      finishReason: null,
    });
  });

  test('with usage that is all zero has no usage', () => {
    const zero = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };
    const { reading } = follow([created, closing('failed', { status: 'failed', error: null, usage: zero })]);
    expect(reading).toMatchObject({ begun: false, usage: null, error: 'status: failed' });
  });

  test('is closed by its failure whatever that event has beside it', () => {
    const { fates, reading } = follow([created, { type: 'response.failed', error: { message: 'Broken.' } }]);
    expect(fates).toEqual(['relay', 'close']);
    expect(reading).toMatchObject({ begun: false, usage: null, error: 'response.failed' });
  });

  test('after it had begun has what was generated', () => {
    const { reading } = follow([created, text('Hel'), failed]);
    expect(reading).toMatchObject({
      begun: true,
      usage: null,
      error: 'No money left.',
      generated: { texts: ['Hel'] },
    });
  });
});

describe('bytes that are no event of this API', () => {
  test('go to the client as they came', () => {
    const junk = [
      '{',
      '7',
      'null',
      '[]',
      '{}',
      '{"type":7,"delta":7}',
      '{"type":"response.output_text.delta","output_index":{},"delta":{}}',
    ];
    const { fates, reading } = follow([...junk, '{"type":"response.completed","response":7}']);
    expect(fates).toEqual([...junk.map(() => 'relay'), 'close']);
    expect(reading).toMatchObject({ usage: null, generated: { texts: [], overhead: 0 } });
  });

  test('an event may carry its type beside its data only', () => {
    const meter = new ResponseStreamMeter({ quirks: quirksOf('openai') });
    const data = JSON.stringify({ response: { usage } });
    expect(meter.take({ raw: Buffer.from(''), type: 'response.completed', data })).toBe('close');
    expect(meter.take({ raw: Buffer.from(''), type: null, data: null })).toBe('relay');
    expect(meter.reading().usage).toMatchObject({ input: 6 });
  });

  test('nesting without end is read', () => {
    const depth = 100_000;
    const nested = `${'[{"a":'.repeat(depth)}1${'}]'.repeat(depth)}`;
    const item = `{"type":"tool_search_call","arguments":${nested},"content":${nested}}`;
    const { reading } = follow([
      `{"type":"response.output_item.done","item":${item}}`,
      `{"type":"response.completed","response":{"output":[${item}]}}`,
    ]);
    expect(reading.begun).toBe(true);
  });
});

test('the error that ends a stream has the number after the last event', () => {
  const context = { quirks: quirksOf('openai'), request: {} as never, contentType: 'text/event-stream' };
  const follower = openaiResponses.followStream(context);
  follower.push(Buffer.from('data: {"type":"response.created","sequence_number":41}\n\n'));
  expect(follower.errorEnd(refusal('UPSTREAM_TIMEOUT', 'Late.')).toString()).toContain(
    '"sequence_number":42',
  );
});
