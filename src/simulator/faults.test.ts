import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventData, exchange, type RawResponse } from './raw-client.ts';
import { type Simulator, startSimulator } from './simulator.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator.close());

const tokens = 10;
/** The role, one for each token, the finish reason, the usage, [DONE]. */
const wholeEvents = 1 + tokens + 1 + 1 + 1;
const last = () => simulator.requests.last!;

function ask(directives: string, body: object): Promise<RawResponse> {
  return exchange(simulator.url, {
    body: {
      model: `sim-small?ttfb_ms=0&tokens_per_second=0&tokens=${tokens}&${directives}`,
      messages: [{ role: 'user', content: 'Hi' }],
      ...body,
    },
  });
}
const askBody = (directives: string) => ask(directives, {});
const askStream = (directives: string, body: object = {}) =>
  ask(directives, { stream: true, stream_options: { include_usage: true }, ...body });

const dataOf = (response: RawResponse) => eventData(response.body);
const usagesOf = (response: RawResponse) =>
  dataOf(response)
    .filter((data) => data.startsWith('{'))
    .map((data) => JSON.parse(data).usage);
const textOf = (data: string[]) =>
  data
    .filter((event) => event.startsWith('{'))
    .map((event) => JSON.parse(event).choices?.[0]?.delta.content ?? '')
    .join('');
const serverErrorBody = {
  error: {
    message: 'The server had an error while processing your request. Sorry about that!',
    type: 'server_error',
    param: null,
    code: null,
  },
};

describe.each([
  ['a body', askBody],
  ['a stream', askStream],
])('instead of %s', (_, askFor) => {
  test.each([
    ['refuse_400', 400, 'invalid_request_error', 'simulated_refusal'],
    ['refuse_401', 401, 'invalid_request_error', 'invalid_api_key'],
    ['refuse_429', 429, 'requests', 'rate_limit_exceeded'],
    ['refuse_500', 500, 'server_error', null],
    ['refuse_503', 503, 'server_error', null],
  ])('%s answers %i with the error', async (fault, status, type, code) => {
    const response = await askFor(`fault=${fault}&retry_after_seconds=7`);
    expect(response.status).toBe(status);
    expect(response.isComplete).toBe(true);
    expect(response.headers['content-type']).toBe('application/json');
    expect(response.headers['retry-after']).toBe(status === 429 || status === 503 ? '7' : undefined);
    expect(JSON.parse(response.body.toString()).error).toMatchObject({ type, code, param: null });
    expect(last()).toMatchObject({ outcome: 'refused', status, tokensSent: 0, usage: null });
  });

  test('no_connection closes before the first byte', async () => {
    const response = await askFor('fault=no_connection');
    expect(response.raw).toHaveLength(0);
    expect(last()).toMatchObject({ outcome: 'broken', status: null, bytesSent: 0 });
  });

  test('error_in_200 answers 200 with an error', async () => {
    const response = await askFor('fault=error_in_200');
    expect(response).toMatchObject({ status: 200, isComplete: true });
    expect(response.headers['content-type']).toBe('application/json');
    expect(JSON.parse(response.body.toString())).toEqual(serverErrorBody);
    expect(last()).toMatchObject({ outcome: 'broken', tokensSent: 0 });
  });
});

describe('a stream', () => {
  test.each([0, 1, 2, 5])('with cut ends after %i events, without the end of HTTP', async (after) => {
    const response = await askStream(`fault=cut&after=${after}`);
    const whole = await askStream('');
    expect(response).toMatchObject({ status: 200, isComplete: false });
    expect(dataOf(response)).toHaveLength(after);
    expect(response.body.toString()).not.toContain('[DONE]');
    expect(dataOf(whole)).toHaveLength(wholeEvents);
    expect(simulator.requests.recent.at(-2)).toMatchObject({
      outcome: 'broken',
      eventsSent: after,
      tokensSent: countTokens(textOf(dataOf(response))),
      bytesSent: response.body.length,
      usage: { completionTokens: tokens },
    });
  });

  test('with cut beyond its end has all its events and no end of HTTP', async () => {
    const response = await askStream('fault=cut&after=1000');
    expect(dataOf(response)).toHaveLength(wholeEvents);
    expect(response.isComplete).toBe(false);
  });

  test.each([0, 4])('with error_event has %i events, then the error, and a proper end', async (after) => {
    const response = await askStream(`fault=error_event&after=${after}`);
    const data = dataOf(response);
    expect(response).toMatchObject({ status: 200, isComplete: true });
    expect(data).toHaveLength(after + 1);
    expect(JSON.parse(data.at(-1)!)).toEqual(serverErrorBody);
    expect(last()).toMatchObject({ outcome: 'broken', eventsSent: after + 1 });
  });

  test('with error_event beyond its end has the error in place of [DONE]', async () => {
    const data = dataOf(await askStream('fault=error_event&after=1000'));
    expect(data).toHaveLength(wholeEvents);
    expect(data).not.toContain('[DONE]');
    expect(JSON.parse(data.at(-1)!)).toEqual(serverErrorBody);
  });

  test.each([0, 3])('with stall sends %i events and then nothing until the client leaves', async (after) => {
    const response = await exchange(simulator.url, {
      body: {
        model: `sim-small?ttfb_ms=0&tokens_per_second=0&fault=stall&after=${after}`,
        messages: [{ role: 'user', content: 'Hi' }],
        stream: true,
      },
      leaveWhen: (arrived) => {
        const text = arrived.toString();
        return text.includes('\r\n\r\n') && text.split('data: ').length > after;
      },
    });
    await simulator.requests.settled();
    expect(response.status).toBe(200);
    expect(last()).toMatchObject({ outcome: 'aborted', eventsSent: after });
  });

  test('with no_usage has no usage, though it was asked for', async () => {
    const response = await askStream('fault=no_usage');
    expect(response.body.toString()).not.toContain('usage');
    expect(dataOf(response)).toHaveLength(wholeEvents - 1);
    expect(last().usage).toMatchObject({ completionTokens: tokens });
  });

  test('with null_usage has null in the last place too', async () => {
    const response = await askStream('fault=null_usage');
    expect(usagesOf(response)).toEqual(Array(wholeEvents - 1).fill(null));
    expect(JSON.parse(dataOf(response).at(-2)!)).toMatchObject({ choices: [], usage: null });
  });

  test('with zero_usage reports zeros for real output', async () => {
    const response = await askStream('fault=zero_usage');
    expect(usagesOf(response).at(-1)).toMatchObject({
      prompt_tokens: 0,
      completion_tokens: 0,
      total_tokens: 0,
    });
    expect(last()).toMatchObject({ tokensSent: tokens, usage: { completionTokens: tokens } });
  });

  test.each([true, false])(
    'with usage_every_chunk counts up, whether asked for or not: %s',
    async (asked) => {
      const response = await askStream(
        'fault=usage_every_chunk&reasoning=2',
        asked ? {} : { stream_options: null },
      );
      const usages = usagesOf(response);
      const counted = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, ...(asked ? [12] : [])];
      expect(usages.map((usage) => usage.completion_tokens)).toEqual(counted);
      expect(usages.at(-1)).toMatchObject({ completion_tokens_details: { reasoning_tokens: 2 } });
      expect(new Set(usages.map((usage) => usage.prompt_tokens)).size).toBe(1);
    },
  );

  test('with junk_bytes has that many events that are no JSON, and all of the answer', async () => {
    const response = await askStream('fault=junk_bytes&junk_events=3');
    const events = response.body.toString('latin1').split('\n\n').slice(0, -1);
    expect(events).toHaveLength(wholeEvents + 3);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is no ASCII is looked for.
    const isJunk = events.map((event) => /^(data: )?[^\x00-\x7f]+$/.test(event));
    expect(isJunk.flatMap((junk, at) => (junk ? [at] : []))).toEqual([1, 3, 5]);
    expect(events[1]!.startsWith('data: ')).toBe(true);
    expect(events[3]!.startsWith('data: ')).toBe(false);
    expect(last()).toMatchObject({ outcome: 'completed', eventsSent: wholeEvents, tokensSent: tokens });
  });

  test('with big_events has events of 64 KB that say the same', async () => {
    const response = await askStream('fault=big_events');
    const events = response.body.toString().split(/(?<=\n\n)/);
    expect(events).toHaveLength(wholeEvents);
    for (const event of events.slice(0, -1)) expect(Buffer.byteLength(event)).toBe(65_536);
    expect(countTokens(textOf(dataOf(response)))).toBe(tokens);
  });

  test('with no_done ends well but for [DONE]', async () => {
    const response = await askStream('fault=no_done');
    expect(response.isComplete).toBe(true);
    expect(response.body.toString()).not.toContain('[DONE]');
    expect(dataOf(response)).toHaveLength(wholeEvents - 1);
  });

  test('with crlf ends its lines with CRLF, all of them', async () => {
    const response = await askStream('fault=crlf');
    const text = response.body.toString();
    expect(text.split('\r\n\r\n')).toHaveLength(wholeEvents + 1);
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
  });

  test('with split_bytes says the same bytes in other pieces, some within characters', async () => {
    const directives = 'tokens_per_event=4';
    const model = 'sim-small?ttfb_ms=0&tokens_per_second=0';
    const body = { model, messages: [{ role: 'user', content: 'Hi' }], stream: true };
    const headers = { 'x-sim-tokens': '2000', 'x-sim-tokens-per-event': directives.split('=')[1]! };
    const whole = await exchange(simulator.url, { body, headers });
    const split = await exchange(simulator.url, {
      body,
      headers: { ...headers, 'x-sim-fault': 'split_bytes' },
    });
    expect(split.body.equals(whole.body)).toBe(true);
    expect(split.pieces).not.toEqual(whole.pieces);
    const cutCharacters = split.pieces.filter((piece) => piece.toString('utf8').includes('\ufffd'));
    expect(cutCharacters.length).toBeGreaterThan(0);
    expect(last()).toMatchObject({ eventsSent: dataOf(whole).length, tokensSent: 2000 });
  });

  test('without split_bytes has one event in each piece', async () => {
    const response = await askStream('');
    expect(response.pieces.map((piece) => eventData(piece).length)).toEqual(Array(wholeEvents).fill(1));
  });

  test('takes several faults at once', async () => {
    const response = await askStream('fault=cut,crlf,split_bytes,big_events&after=2');
    expect(response.isComplete).toBe(false);
    const events = response.body.toString().split(/(?<=\r\n\r\n)/);
    expect(events.map((event) => event.length)).toEqual([65_536, 65_536]);
    expect(last()).toMatchObject({ outcome: 'broken', eventsSent: 2, tokensSent: 1 });
  });
});

describe('a body', () => {
  test('with cut ends after half of itself', async () => {
    const response = await askBody('fault=cut');
    const length = Number(response.headers['content-length']);
    expect(response).toMatchObject({ status: 200, isComplete: false });
    expect(response.body).toHaveLength(Math.floor(length / 2));
    expect(last()).toMatchObject({ outcome: 'broken', tokensSent: 0 });
  });

  test('with stall ends in the middle, but the connection does not', async () => {
    const response = await exchange(simulator.url, {
      body: {
        model: 'sim-small?ttfb_ms=0&tokens_per_second=0&fault=stall',
        messages: [{ role: 'user', content: 'Hi' }],
      },
      leaveWhen: (arrived) => arrived.includes('"choices"'),
    });
    await simulator.requests.settled();
    expect(response.isComplete).toBe(false);
    expect(last()).toMatchObject({ outcome: 'aborted', tokensSent: 0 });
  });

  test('with error_event is an error with status 200', async () => {
    const response = await askBody('fault=error_event');
    expect(response.status).toBe(200);
    expect(JSON.parse(response.body.toString())).toEqual(serverErrorBody);
  });

  test.each([
    ['no_usage', undefined],
    ['null_usage', null],
    ['zero_usage', expect.objectContaining({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })],
    ['usage_every_chunk', expect.objectContaining({ completion_tokens: tokens })],
  ])('with %s reports that', async (fault, usage) => {
    const body = JSON.parse((await askBody(`fault=${fault}`)).body.toString());
    expect(body.usage).toEqual(usage);
    expect('usage' in body).toBe(fault !== 'no_usage');
    expect(last()).toMatchObject({ tokensSent: tokens, usage: { completionTokens: tokens } });
  });

  test('with junk_bytes is no JSON', async () => {
    const response = await askBody('fault=junk_bytes');
    expect(response).toMatchObject({ status: 200, isComplete: true });
    expect(() => JSON.parse(response.body.toString())).toThrow();
    expect(last()).toMatchObject({
      outcome: 'completed',
      tokensSent: 0,
      usage: { completionTokens: tokens },
    });
  });

  test('with split_bytes says the same in pieces', async () => {
    const body = {
      model: 'sim-small?ttfb_ms=0&tokens_per_second=0',
      messages: [{ role: 'user', content: 'Hi' }],
    };
    const whole = await exchange(simulator.url, { body });
    const split = await exchange(simulator.url, { body, headers: { 'x-sim-fault': 'split_bytes' } });
    expect(split.body.equals(whole.body)).toBe(true);
    expect(split.pieces.length).toBeGreaterThan(2);
  });
});
