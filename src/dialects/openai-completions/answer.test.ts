import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { DialectRequest, StreamReading } from '../dialect.ts';
import { openaiCompletions } from './index.ts';

const tokens = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 };

function requestOf(members: object = {}): DialectRequest {
  const body = Buffer.from(JSON.stringify({ model: 'a-model', prompt: 'Once upon', ...members }));
  const request = openaiCompletions.readRequest({ path: '', query: new URLSearchParams(), body });
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

function read(answer: unknown, members: object = {}) {
  const body = Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer));
  return openaiCompletions.readAnswer(body, { quirks: quirksOf('openai'), request: requestOf(members) });
}

function follow(events: readonly unknown[], members: object = {}): StreamReading & { readonly sent: string } {
  const request = requestOf({ stream: true, ...members });
  const context = { quirks: quirksOf('openai'), request, contentType: 'text/event-stream' };
  const follower = openaiCompletions.followStream(context);
  const texts = events.map(
    (event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`,
  );
  const passed = texts.flatMap((text) => [...follower.push(Buffer.from(text))]);
  return { ...follower.reading(), sent: Buffer.concat([...passed, ...follower.end()]).toString() };
}

const chunk = (text: string, index = 0, others: object = {}) => ({ choices: [{ text, index, ...others }] });

describe('a whole answer', () => {
  test('its usage, its texts and its finish reason are read', () => {
    const choices = [
      { index: 0, text: ' a time', finish_reason: 'length', logprobs: null },
      { index: 1, text: ' us', finish_reason: 'stop' },
    ];
    expect(read({ choices, usage: tokens })).toMatchObject({
      usage: { input: 9, output: 4 },
      generated: { texts: [' a time', ' us'], overhead: 0 },
      finishReason: 'length',
      error: null,
    });
  });

  test('without usage, or with one that is all zero beside text, its text is there to be counted', () => {
    const choices = [{ text: ' a time' }];
    const zero = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    for (const usage of [undefined, null, zero, { ...tokens, completion_tokens: 2e8 }]) {
      expect(read({ choices, usage })).toMatchObject({ usage: null, generated: { texts: [' a time'] } });
    }
  });

  test('a thought is generated, too', () => {
    expect(read({ choices: [{ text: 'So', reasoning: 'Hm' }] }).generated.texts).toEqual(['So', 'Hm']);
  });

  test.each([['<html>'], ['[]'], ['']])('%s is no answer', (body) => {
    expect(read(body)).toMatchObject({ usage: null, generated: { texts: [] }, error: expect.any(String) });
  });
});

describe('an echoed prompt', () => {
  const echo = { echo: true };

  test('was read and not generated', () => {
    expect(read({ choices: [{ index: 0, text: 'Once upon a time' }] }, echo).generated.texts).toEqual([
      ' a time',
    ]);
    expect(read({ choices: [{ index: 0, text: 'Once upon' }] }, echo).generated.texts).toEqual([]);
  });

  test('is taken off wherever a stream cuts it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(16), { maxLength: 4 }), (places) => {
        const text = 'Once upon a time';
        const cuts = [0, ...places.sort((a, b) => a - b), text.length];
        const pieces = cuts.slice(1).map((end, index) => chunk(text.slice(cuts[index], end)));
        expect(follow([...pieces, '[DONE]'], echo).generated.texts).toEqual([' a time']);
      }),
    );
  });

  test('is that of the choice, where there are several prompts with several answers', () => {
    const members = { ...echo, prompt: ['A', 'BB'], n: 2, best_of: 3 };
    const choices = ['A1', 'A2', 'BB3', 'BB4'].map((text, index) => ({ index, text }));
    expect(read({ choices }, members).generated.texts).toEqual(['1', '2', '3', '4']);
  });

  test('is only taken off where it is one, and where it was asked for', () => {
    expect(read({ choices: [{ index: 0, text: 'Twice' }] }, echo).generated.texts).toEqual(['Twice']);
    expect(read({ choices: [{ index: 0, text: 'Once upon a time' }] }).generated.texts).toEqual([
      'Once upon a time',
    ]);
    const ids = { ...echo, prompt: [1, 2] };
    expect(read({ choices: [{ index: 0, text: 'Once upon' }] }, ids).generated.texts).toEqual(['Once upon']);
  });
});

describe('a stream', () => {
  const onlyUsage = { choices: [], usage: tokens };
  const finished = [chunk(' a'), chunk(' time', 0, { finish_reason: 'length' })];

  test('has the usage of its last chunk, which is kept from who did not ask for it', () => {
    const unasked = follow([...finished, onlyUsage, '[DONE]']);
    expect(unasked).toMatchObject({
      usage: { input: 9, output: 4 },
      finishReason: 'length',
      usageIsFinal: true,
    });
    expect(unasked.sent).not.toContain('usage');
    expect(unasked.sent).toContain('[DONE]');
    const asked = follow([...finished, onlyUsage], { stream_options: { include_usage: true } });
    expect(asked.sent).toContain('total_tokens');
  });

  test('with usage in each chunk has that of the last', () => {
    const counted = (completion: number) => ({
      usage: { ...tokens, completion_tokens: completion, total_tokens: 9 + completion },
    });
    const events = [{ ...chunk(' a'), ...counted(1) }, { ...chunk(' time'), ...counted(2) }, '[DONE]'];
    expect(follow(events)).toMatchObject({ usage: { input: 9, output: 2 } });
  });

  test('without usage has its text, each choice by itself', () => {
    expect(follow([chunk(' a', 0), chunk(' b', 1), chunk(' time', 0), '[DONE]'])).toMatchObject({
      usage: null,
      begun: true,
      generated: { texts: [' a time', ' b'] },
    });
  });

  test("of Writer's, which has pieces and neither choices nor an end, has its text and may end anywhere", () => {
    expect(follow([{ value: ' a' }, { value: ' time' }, { value: 7 }])).toMatchObject({
      generated: { texts: [' a time'] },
      finishReason: 'stop',
    });
    expect(follow([{ value: 7 }]).finishReason).toBeNull();
  });

  test('that breaks off with an error says so', () => {
    expect(follow([chunk(' a'), { error: { message: 'cut' } }])).toMatchObject({ error: 'cut', begun: true });
    expect(follow([{ error: { message: 'cut' } }])).toMatchObject({ error: 'cut', begun: false });
  });
});

test('any JSON in the place of its members goes through', () => {
  const choice = fc.record({ index: fc.jsonValue(), text: fc.jsonValue(), finish_reason: fc.jsonValue() });
  const answer = fc.record(
    { choices: fc.oneof(fc.jsonValue(), fc.array(choice)), usage: fc.jsonValue(), value: fc.jsonValue() },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 3 }), (answers) => {
      follow(answers, { echo: true });
      for (const one of answers) read(one, { echo: true, n: 2 });
    }),
    { numRuns: 500 },
  );
});
