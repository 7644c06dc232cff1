import { describe, expect, test } from 'vitest';
import { refusal } from '../../domain/errors.ts';
import { quirksOf } from '../../domain/quirks.ts';
import type { DialectRequest, StreamFollower } from '../dialect.ts';
import { geminiGenerate } from './index.ts';

const path = '/v1beta/models/gemini-3-flash:streamGenerateContent';
const body = Buffer.from(JSON.stringify({ contents: [{ parts: [{ text: 'Hi' }] }] }));

function followerOf(contentType: string, query = ''): StreamFollower {
  const request = geminiGenerate.readRequest({
    path,
    query: new URLSearchParams(query),
    body,
  }) as DialectRequest;
  return geminiGenerate.followStream({ quirks: quirksOf('gemini'), request, contentType });
}

const events = () => followerOf('text/event-stream', 'alt=sse');
const array = () => followerOf('application/json; charset=utf-8');

const chunk = (text: string, usage: object | null = null, more: object = {}) => ({
  candidates: [{ content: { role: 'model', parts: [{ text }] }, index: 0, ...more }],
  ...(usage === null ? {} : { usageMetadata: usage }),
});
const counted = (candidates: number, thoughts = 0, prompt = 9) => ({
  promptTokenCount: prompt,
  candidatesTokenCount: candidates,
  thoughtsTokenCount: thoughts,
  totalTokenCount: prompt + candidates + thoughts,
});
const stop = { finishReason: 'STOP' };

/** Both framings of the same chunks, of which only the array has an end of its own. */
const framings = [
  [
    'events',
    events,
    (chunks: readonly object[]) => chunks.map((one) => `data: ${JSON.stringify(one)}\r\n\r\n`).join(''),
  ],
  [
    'an array',
    array,
    (chunks: readonly object[]) => `[${chunks.map((one) => JSON.stringify(one)).join(',\r\n')}`,
  ],
] as const;

function take(follower: StreamFollower, text: string): string {
  return Buffer.concat(follower.push(Buffer.from(text))).toString();
}

describe.each(framings)('a stream of %s', (_, followerFor, framed) => {
  function read(chunks: readonly object[]) {
    const follower = followerFor();
    take(follower, framed(chunks));
    return follower.reading();
  }

  test('goes on chunk by chunk, nothing held back', () => {
    const follower = followerFor();
    const text = framed([chunk('Hel', counted(1)), chunk('lo', counted(2), stop)]);
    expect(take(follower, text)).toBe(text);
    expect(follower.closed).toBe(false);
    expect(follower.reading()).toMatchObject({
      begun: true,
      usageIsFinal: false,
      finishReason: 'STOP',
      error: null,
    });
  });

  test('the last usage counts, also where it falls back or the prompt changes', () => {
    const chunks = [
      chunk('a', counted(102, 97)),
      chunk('b', counted(0, 1_236)),
      chunk(
        'c',
        { ...counted(18, 2_472, 106), toolUsePromptTokenCount: 1_000, totalTokenCount: 3_596 },
        stop,
      ),
    ];
    expect(read(chunks).usage).toEqual({ input: 1_106, output: 18, reasoning: 2_472 });
    expect(read(chunks.slice(0, 2)).usage).toEqual({ input: 9, output: 0, reasoning: 1_236 });
  });

  test('the kind of traffic alone leaves the usage unknown, and never covers what is known', () => {
    const traffic = { trafficType: 'ON_DEMAND_FLEX' };
    const first = chunk('a', traffic);
    expect(read([first])).toMatchObject({ usage: null, serviceTier: 'flex', reported: traffic });
    expect(read([first, chunk('b', counted(5), stop)]).usage).toMatchObject({ output: 5 });
    expect(read([chunk('a', counted(5), stop), { usageMetadata: traffic }]).usage).toMatchObject({
      output: 5,
    });
  });

  test('usage that text came after counts while the stream runs, and not once it has ended', () => {
    expect(read([chunk('a', counted(1)), chunk('b')]).usage).toEqual({ input: 9, output: 1, reasoning: 0 });
    expect(read([chunk('a', counted(1)), chunk('b', null, stop)]).usage).toBeNull();
    expect(read([chunk('a', { promptTokenCount: 9, totalTokenCount: 9 })]).usage).toEqual({
      input: 9,
      output: 0,
    });
  });

  test('without a finish reason of every candidate that began it was cut short', () => {
    const other = { candidates: [{ index: 1, content: { parts: [{ text: 'b' }] } }] };
    const ended = { candidates: [{ index: 1, finishReason: 'MAX_TOKENS' }] };
    expect(read([]).finishReason).toBeNull();
    expect(read([chunk('a', counted(1))]).finishReason).toBeNull();
    expect(read([other, chunk('a', counted(2), stop)]).finishReason).toBeNull();
    expect(read([chunk('a', counted(2), stop), other]).finishReason).toBeNull();
    expect(read([chunk('a', counted(2), stop), other, ended]).finishReason).toBe('STOP');
    expect(read([other, chunk('a', null, stop), ended]).finishReason).not.toBeNull();
    expect(read([chunk('a', null, stop), { usageMetadata: counted(1) }]).finishReason).toBe('STOP');
  });

  test('a prompt that was blocked is complete, and begins only where it is counted', () => {
    const promptFeedback = { blockReason: 'SAFETY' };
    expect(read([{ promptFeedback, usageMetadata: counted(0) }])).toMatchObject({
      finishReason: 'SAFETY',
      error: null,
      usage: { input: 9 },
    });
    expect(read([{ promptFeedback }])).toMatchObject({
      begun: false,
      usage: null,
      error: 'The prompt was blocked: SAFETY',
    });
  });

  test('an error in the middle is one, and alone begins nothing', () => {
    const error = { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } };
    expect(read([error])).toMatchObject({ begun: false, error: 'overloaded', finishReason: null });
    expect(read([chunk('a', counted(1)), error])).toMatchObject({
      begun: true,
      error: 'overloaded',
      usage: { output: 1 },
    });
  });

  test('what is no JSON goes on and is passed over', () => {
    const follower = followerFor();
    const text = framed([chunk('a')]).replace('"candidates"', 'candidates');
    expect(take(follower, text)).toBe(text);
    expect(follower.reading()).toMatchObject({ begun: false, usage: null, error: null, finishReason: null });
  });
});

describe('events', () => {
  test('errors that come as bare JSON between them are seen', () => {
    const follower = events();
    take(
      follower,
      'data: {"candidates":[]}\n\n{\n  "error": {\n    "code": 503,\n    "message": "busy"\n  }\n}\n',
    );
    follower.end();
    expect(follower.reading().error).toBe('busy');
  });

  test('an error of ours ends them', () => {
    const end = events().errorEnd(refusal('UPSTREAM_TIMEOUT', 'Too slow.')).toString();
    expect(end).toMatch(/^data: \{"error":\{"code":504,.*\}\n\n$/);
  });
});

describe('an array', () => {
  test('its closing bracket waits for the commit, whatever comes behind it', () => {
    const follower = array();
    const text = `[${JSON.stringify(chunk('a', counted(1), stop))}`;
    expect(take(follower, `${text}\n]`)).toBe(text);
    expect(follower.closed).toBe(true);
    expect(take(follower, '\n')).toBe('');
    expect(Buffer.concat(follower.end()).toString()).toBe('\n]\n');
  });

  test('an error of ours is one more element, so that the client has a whole array', () => {
    const refused = refusal('UPSTREAM_UNAVAILABLE', 'It broke off.');
    const follower = array();
    expect(JSON.parse(follower.errorEnd(refused).toString())).toMatchObject([{ error: { code: 502 } }]);
    const delivered = take(follower, `[{"candidates":[]}\n,\r\n{"cand`);
    expect(JSON.parse(delivered + follower.errorEnd(refused))).toMatchObject([
      { candidates: [] },
      { error: { status: 'UNAVAILABLE' } },
    ]);
  });

  test('one object instead of it is metered, and waits for the commit as a whole', () => {
    const follower = array();
    const text = JSON.stringify(chunk('Hello', counted(2), stop));
    expect(take(follower, text.slice(0, 20)) + take(follower, text.slice(20))).toBe('');
    expect(Buffer.concat(follower.end()).toString()).toBe(text);
    expect(follower.reading()).toMatchObject({ usage: { input: 9, output: 2 }, finishReason: 'STOP' });
  });

  test('comes where upstream says so, and where it says nothing to whoever asked for no events', () => {
    const text = '[{"candidates":[]}]';
    expect(take(followerOf(''), text)).toBe('[{"candidates":[]}');
    expect(take(followerOf('', 'alt=sse'), 'data: {}\n\n')).toBe('data: {}\n\n');
    expect(take(followerOf('application/json', 'alt=sse'), text)).toBe('[{"candidates":[]}');
    expect(take(followerOf('text/event-stream'), 'data: {}\n\n')).toBe('data: {}\n\n');
  });
});
