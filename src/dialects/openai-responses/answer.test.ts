import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import { readAnswer } from './answer.ts';

const read = (answer: unknown) =>
  readAnswer(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)), {
    quirks: quirksOf('openai'),
  });

const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 };
const answer = {
  id: 'resp_1',
  model: 'gpt-5-mini-2025-08-07',
  object: 'response',
  status: 'completed',
  error: null,
  incomplete_details: null,
  service_tier: 'priority',
  output: [
    { type: 'reasoning', id: 'rs_1', summary: [] },
    { type: 'message', id: 'msg_1', content: [{ type: 'output_text', text: 'Hello' }] },
  ],
  usage,
};

describe('a whole answer', () => {
  test('is metered by its usage', () => {
    expect(read(answer)).toEqual({
      usage: { input: 10, output: 5 },
      units: {},
      otherModels: [],
      generated: { texts: ['Hello'], overhead: 1 },
      finishReason: 'completed',
      error: null,
      serviceTier: 'priority',
      statedCost: null,
      reported: usage,
      answerId: 'resp_1',
      responseId: 'resp_1',
      responseModel: 'gpt-5-mini-2025-08-07',
    });
  });

  test('takes the size of a container from the tools that it was given', () => {
    const container = { type: 'auto', memory_limit: '4g' };
    const run = { type: 'code_interpreter_call', id: 'ci_1', container_id: 'cntr_1' };
    const ran = { ...answer, output: [run], tools: [{ type: 'code_interpreter', container }] };
    expect(read(ran)).toMatchObject({ usage: { code_interpreter: 4 }, units: { code_interpreter: 4 } });
    expect(read({ ...ran, tools: [] }).units).toEqual({ code_interpreter: 1 });
  });

  test('finishes for the reason that left it incomplete', () => {
    const incomplete = { status: 'incomplete', incomplete_details: { reason: 'content_filter' } };
    expect(read({ ...answer, ...incomplete })).toMatchObject({ finishReason: 'content_filter', error: null });
  });

  test('says what the provider charges, in dollars or in ticks', () => {
    expect(read({ ...answer, usage: { ...usage, cost: 0.025265 } }).statedCost).toBe(25_265_000n);
    expect(read({ ...answer, usage: { ...usage, cost_in_usd_ticks: 161_508_500 } }).statedCost).toBe(
      16_150_850n,
    );
  });

  test('all-zero usage beside output is none, and the text is there to count', () => {
    const zero = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };
    expect(read({ ...answer, usage: zero })).toMatchObject({ usage: null, generated: { texts: ['Hello'] } });
    expect(read({ ...answer, usage: zero, output: [] })).toMatchObject({ usage: { input: 0, output: 0 } });
  });

  test('has a token that ends it, but for one that was cut off', () => {
    const cut = { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
    expect(read(answer).generated.overhead).toBe(1);
    expect(read({ ...answer, ...cut }).generated.overhead).toBe(0);
    expect(read({ ...answer, output: [] }).generated.overhead).toBe(0);
  });

  test('that is only queued has no usage, nothing generated and no error: its prompt is there to charge', () => {
    expect(read({ ...answer, status: 'queued', output: [], usage: null })).toMatchObject({
      usage: null,
      error: null,
      finishReason: 'queued',
      generated: { texts: [] },
    });
  });

  test('that failed with nothing generated has nothing to charge', () => {
    const failed = { status: 'failed', error: { message: 'Broken.' }, output: [], usage: null };
    expect(read({ ...answer, ...failed })).toMatchObject({
      usage: null,
      error: 'Broken.',
      generated: { texts: [] },
    });
    expect(read({ error: { message: 'No such model.' } })).toMatchObject({
      usage: null,
      error: 'No such model.',
    });
  });

  test.each([
    ['its own id', {}, 'resp_1'],
    ['the id of its conversation', { conversation: { id: 'conv_1' } }, 'conv_1'],
    ['none where the provider was told not to store it', { store: false }, null],
    ['that of its conversation, stored or not', { store: false, conversation: 'conv_1' }, 'conv_1'],
  ])('is gone on from by %s', (_, others, answerId) => {
    expect(read({ ...answer, ...others }).answerId).toBe(answerId);
  });

  test.each(['', '{', '[]', '7', 'null', '"text"'])('that is no object is an error: %j', (body) => {
    expect(read(body)).toMatchObject({ usage: null, error: expect.any(String), generated: { texts: [] } });
  });

  test('with junk for members brings nothing down', () => {
    const junk = {
      id: 7,
      status: [],
      output: 'x',
      usage: 'x',
      error: 0,
      tools: 7,
      tool_usage: [],
      conversation: [],
    };
    expect(read(junk)).toMatchObject({ usage: null, answerId: null, finishReason: null });
    expect(
      read({ ...answer, output: [7, null, [], { type: 7, content: 7, summary: {} }] }).usage,
    ).not.toBeNull();
  });
});
