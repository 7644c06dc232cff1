import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventData, exchange, type RawResponse } from './raw-client.ts';
import { type Simulator, startSimulator } from './simulator.ts';

// What holds in every wire format alike; what each has of its own is tested in its folder.

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ seed: 'formats' });
});
afterAll(() => simulator.close());

/** Loosely typed: a test that expects the wrong member fails by itself. */
// biome-ignore lint/suspicious/noExplicitAny: answers of six shapes are looked into.
type Json = any;

interface TriedFormat {
  readonly name: string;
  path(model: string, stream: boolean): string;
  body(model: string, stream: boolean): Record<string, unknown>;
  readonly headers?: Record<string, string>;
  /** What one event says. */
  said(event: Json): string;
  /** Input, output and total as a whole answer reports them. */
  usage(answer: Json): readonly [input: number, output: number];
  /** The type or the status name of an error. */
  errorType(answer: Json): string;
  readonly errorTypes: Readonly<Record<string, string>>;
  /** How a whole stream ends. */
  readonly end: string;
}

const openaiErrors = {
  errorType: (answer: Json) => answer.error.type,
  errorTypes: {
    refuse_400: 'invalid_request_error',
    refuse_401: 'invalid_request_error',
    refuse_429: 'requests',
    refuse_500: 'server_error',
    refuse_503: 'server_error',
    refuse_529: 'server_error',
  },
};
const messages = [{ role: 'user', content: 'Tell me of rivers.' }];
const promptTokens = 7 + countTokens('Tell me of rivers.');

const formats: readonly TriedFormat[] = [
  {
    name: 'openai chat',
    path: () => '/v1/chat/completions',
    body: (model, stream) => ({
      model,
      messages,
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    }),
    said: (event) => event.choices?.[0]?.delta?.content ?? '',
    usage: ({ usage }) => [usage.prompt_tokens, usage.completion_tokens],
    end: 'data: [DONE]',
    ...openaiErrors,
  },
  {
    name: 'openai completions',
    path: () => '/v1/completions',
    body: (model, stream) => ({
      model,
      prompt: 'Tell me of rivers.',
      max_tokens: 4000,
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    }),
    said: (event) => event.choices?.[0]?.text ?? '',
    usage: ({ usage }) => [usage.prompt_tokens + 7, usage.completion_tokens],
    end: 'data: [DONE]',
    ...openaiErrors,
  },
  {
    name: 'openai responses',
    path: () => '/v1/responses',
    body: (model, stream) => ({ model, input: 'Tell me of rivers.', stream }),
    said: (event) => (event.type === 'response.output_text.delta' ? event.delta : ''),
    usage: ({ usage }) => [usage.input_tokens, usage.output_tokens],
    end: 'event: response.completed',
    ...openaiErrors,
  },
  {
    name: 'anthropic messages',
    path: () => '/v1/messages',
    body: (model, stream) => ({ model, messages, max_tokens: 4000, stream }),
    headers: { 'anthropic-version': '2023-06-01' },
    said: (event) => event.delta?.text ?? '',
    usage: ({ usage }) => [usage.input_tokens, usage.output_tokens],
    errorType: (answer) => answer.error.type,
    errorTypes: {
      refuse_400: 'invalid_request_error',
      refuse_401: 'authentication_error',
      refuse_429: 'rate_limit_error',
      refuse_500: 'api_error',
      refuse_503: 'overloaded_error',
      refuse_529: 'overloaded_error',
    },
    end: 'event: message_stop',
  },
  {
    name: 'gemini generate',
    path: (model, stream) =>
      `/v1beta/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: () => ({ contents: [{ role: 'user', parts: [{ text: 'Tell me of rivers.' }] }] }),
    said: (event) => event.candidates?.[0]?.content?.parts?.[0]?.text ?? '',
    usage: ({ usageMetadata }) => [usageMetadata.promptTokenCount, usageMetadata.candidatesTokenCount],
    errorType: (answer) => answer.error.status,
    errorTypes: {
      refuse_400: 'INVALID_ARGUMENT',
      refuse_401: 'INVALID_ARGUMENT',
      refuse_429: 'RESOURCE_EXHAUSTED',
      refuse_500: 'INTERNAL',
      refuse_503: 'UNAVAILABLE',
      refuse_529: 'UNAVAILABLE',
    },
    end: '"finishReason":"STOP"',
  },
];

function ask(format: TriedFormat, directives: string, stream: boolean): Promise<RawResponse> {
  const model = `sim-small?ttfb_ms=0&tokens_per_second=0&${directives}`;
  return exchange(simulator.url, {
    path: format.path(model, stream),
    body: format.body(model, stream),
    headers: format.headers ?? {},
  });
}

/** By headers: the request's bytes stay the same, and with them what is said. */
function askByHeader(format: TriedFormat, headers: Record<string, string>): Promise<RawResponse> {
  const model = 'sim-small?ttfb_ms=0&tokens_per_second=0&tokens=40';
  return exchange(simulator.url, {
    path: format.path(model, true),
    body: format.body(model, true),
    headers: { ...format.headers, ...headers },
  });
}

const jsonOf = (response: RawResponse): Json => JSON.parse(response.body.toString());
const eventsOf = (response: RawResponse): Json[] =>
  eventData(response.body)
    .filter((data) => data.startsWith('{'))
    .map((data) => JSON.parse(data));
const saidIn = (format: TriedFormat, response: RawResponse) => eventsOf(response).map(format.said).join('');
const last = () => simulator.requests.last!;

describe.each(formats)('$name', (format) => {
  test('counts exactly what it says, in a body and in a stream, and what it was asked', async () => {
    const body = await ask(format, 'tokens=40', false);
    expect(body).toMatchObject({ status: 200, isComplete: true });
    expect(format.usage(jsonOf(body))).toEqual([promptTokens, 40]);
    expect(last()).toMatchObject({ outcome: 'completed', tokensSent: 40, usage: { completionTokens: 40 } });

    const stream = await ask(format, 'tokens=40', true);
    expect(stream.headers['content-type']).toMatch(/^text\/event-stream/);
    expect(countTokens(saidIn(format, stream))).toBe(40);
    expect(last()).toMatchObject({ outcome: 'completed', tokensSent: 40, usage: { completionTokens: 40 } });
    expect(stream.body.toString()).toContain(format.end);
  });

  test('gives the same bytes again, headers included, and others for another seed', async () => {
    const again = await startSimulator({ seed: 'formats' });
    const other = await startSimulator({ seed: 'other' });
    for (const stream of [false, true]) {
      const model = 'sim-small?ttfb_ms=0&tokens_per_second=0&reasoning=5';
      const request = {
        path: format.path(model, stream),
        body: format.body(model, stream),
        headers: format.headers ?? {},
      };
      const first = await exchange(simulator.url, request);
      expect((await exchange(again.url, request)).raw.equals(first.raw)).toBe(true);
      expect((await exchange(other.url, request)).body.equals(first.body)).toBe(false);
    }
    await again.close();
    await other.close();
  });

  test.each(['refuse_400', 'refuse_401', 'refuse_429', 'refuse_500', 'refuse_503', 'refuse_529'])(
    'is refused by %s in the shape of its provider',
    async (fault) => {
      for (const stream of [false, true]) {
        const response = await ask(format, `fault=${fault}&retry_after_seconds=7`, stream);
        expect(response.status).toBe(Number(fault.slice(-3)));
        expect(format.errorType(jsonOf(response))).toBe(format.errorTypes[fault]);
        const waits = ['refuse_429', 'refuse_503', 'refuse_529'].includes(fault);
        expect(response.headers['retry-after']).toBe(waits ? '7' : undefined);
        expect(last()).toMatchObject({ outcome: 'refused', tokensSent: 0, usage: null });
      }
    },
  );

  test('names a bad directive in the shape of its provider', async () => {
    const response = await ask(format, 'speed=9', false);
    expect(response.status).toBe(400);
    expect(format.errorType(jsonOf(response))).toBe(format.errorTypes.refuse_400);
    expect(jsonOf(response).error.message).toContain("'speed'");
  });

  test('ends a prompt that is too long, in the shape of its provider', async () => {
    const response = await ask(format, 'context_tokens=4', false);
    expect(response.status).toBe(400);
    expect(format.errorType(jsonOf(response))).toBe(format.errorTypes.refuse_400);
  });

  test.each([0, 1, 6])('is cut after %i events, each counted', async (after) => {
    const response = await ask(format, `tokens=40&fault=cut&after=${after}`, true);
    expect(response.isComplete).toBe(false);
    expect(eventData(response.body)).toHaveLength(after);
    const said = countTokens(saidIn(format, response));
    expect(last()).toMatchObject({ outcome: 'broken', eventsSent: after, tokensSent: said });
  });

  test('breaks off with an error in the midst of a stream, which ends well as HTTP', async () => {
    const response = await askByHeader(format, { 'x-sim-fault': 'error_event', 'x-sim-after': '6' });
    const whole = await askByHeader(format, {});
    expect(response.isComplete).toBe(true);
    const events = eventData(response.body);
    expect(events.slice(0, 6)).toEqual(eventData(whole.body).slice(0, 6));
    expect(events[6]).toContain('error');
    expect(response.body.toString()).not.toContain(format.end);
  });

  test('says nothing of usage, null, or zeros, where a fault asks for that', async () => {
    for (const stream of [false, true]) {
      const none = await ask(format, 'tokens=9&fault=no_usage', stream);
      // What a response is created with has a member for it from the beginning.
      expect(none.body.toString().replaceAll('"usage":null', '')).not.toMatch(/"usage"|"usageMetadata"/);
      const nulls = await ask(format, 'tokens=9&fault=null_usage', stream);
      expect(nulls.body.toString()).toMatch(/"usage(Metadata)?":null/);
      expect(nulls.body.toString()).not.toMatch(/"usage(Metadata)?":\{/);
      const zeros = await ask(format, 'tokens=9&fault=zero_usage', stream);
      expect(zeros.body.toString()).toMatch(/"usage(Metadata)?":\{/);
      expect(last()).toMatchObject({ tokensSent: 9, usage: { completionTokens: 9 } });
    }
    expect(format.usage(jsonOf(await ask(format, 'fault=zero_usage', false)))[1]).toBe(0);
  });

  test('lays its bytes out as faults ask for, and says the same', async () => {
    const whole = await askByHeader(format, {});
    const said = saidIn(format, whole);
    for (const fault of ['crlf', 'split_bytes', 'big_events']) {
      const response = await askByHeader(format, { 'x-sim-fault': fault });
      expect(saidIn(format, response)).toBe(said);
      if (fault === 'split_bytes') expect(response.body.equals(whole.body)).toBe(true);
      if (fault === 'crlf') expect(response.body.toString().replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    }
    const junk = await ask(format, 'tokens=40&fault=junk_bytes&junk_events=2', true);
    expect(junk.body.toString()).toContain('\ufffd');
    expect(last().tokensSent).toBe(40);
    expect((await ask(format, 'fault=junk_bytes', false)).body.toString()).toContain('\ufffd');
  });

  test('never answers, or never begins to, where a fault asks for that', async () => {
    expect((await ask(format, 'fault=no_connection', true)).raw).toHaveLength(0);
    expect(jsonOf(await ask(format, 'fault=error_in_200', false)).error).toBeTruthy();
    const cut = await ask(format, 'fault=cut', false);
    expect(cut).toMatchObject({ status: 200, isComplete: false });
  });

  test('is refused for the bad key, wherever it stands', async () => {
    const model = 'sim-small?ttfb_ms=0';
    for (const secret of [
      { authorization: 'Bearer bad-key' },
      { 'x-api-key': 'bad-key' },
      { 'x-goog-api-key': 'bad-key' },
    ]) {
      const response = await exchange(simulator.url, {
        path: format.path(model, false),
        body: format.body(model, false),
        headers: { ...format.headers, ...secret },
      });
      // Google's own status for it.
      expect(response.status).toBe(format.name.startsWith('gemini') ? 400 : 401);
      expect(format.errorType(jsonOf(response))).toBe(format.errorTypes.refuse_401);
    }
  });

  test('is refused as no JSON in the shape of its provider', async () => {
    for (const body of ['{', '[]', '7', '']) {
      const response = await exchange(simulator.url, {
        path: format.path('sim-small', false),
        body,
        headers: format.headers ?? {},
      });
      expect(response.status).toBe(400);
      expect(format.errorType(jsonOf(response))).toBe(format.errorTypes.refuse_400);
    }
  });
});

describe('one base URL fits every client', () => {
  test.each(['/chat/completions', '/responses', '/completions', '/messages'])(
    '%s is found with /v1 and without, and says the same',
    async (path) => {
      const format = formats.find((tried) => tried.path('', false) === `/v1${path}`)!;
      const request = {
        body: format.body('sim-small?ttfb_ms=0&tokens_per_second=0', false),
        headers: format.headers ?? {},
      };
      const with1 = await exchange(simulator.origin, { ...request, path: `/v1${path}` });
      const without = await exchange(simulator.origin, { ...request, path });
      expect(with1.status).toBe(200);
      expect(without.raw.equals(with1.raw)).toBe(true);
    },
  );

  test('the origin is the URL without OpenAI’s version', () => {
    expect(`${simulator.origin}/v1`).toBe(simulator.url);
  });

  test.each([
    ['/v1/messages/nothing', 'not_found_error'],
    ['/v1beta/models/sim-small:nothing', undefined],
    ['/v1beta/nothing', undefined],
    ['/v1/__proto__', 'invalid_request_error'],
  ])('%s is nowhere', async (path, type) => {
    const response = await exchange(simulator.url, { path, body: {} });
    expect(response.status).toBe(404);
    expect(jsonOf(response).error.type).toBe(type);
  });
});

test('the query is kept apart from the path, as it came', async () => {
  await ask(formats[4]!, 'tokens=1', true);
  expect(last()).toMatchObject({
    path: '/v1beta/models/sim-small%3Fttfb_ms%3D0%26tokens_per_second%3D0%26tokens%3D1:streamGenerateContent',
    query: '?alt=sse',
    model: 'sim-small?ttfb_ms=0&tokens_per_second=0&tokens=1',
  });
});
