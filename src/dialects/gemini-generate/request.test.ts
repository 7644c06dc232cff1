import { describe, expect, test } from 'vitest';
import { quirksOf } from '../../domain/quirks.ts';
import type { DialectRequest } from '../dialect.ts';
import { geminiGenerate } from './index.ts';

const quirks = quirksOf('gemini');
const contents = [{ role: 'user', parts: [{ text: 'Hello' }] }];

function call(target: string, body: unknown) {
  const [path = '', query = ''] = target.split('?');
  const bytes = typeof body === 'string' ? body : JSON.stringify(body);
  return geminiGenerate.readRequest({ path, query: new URLSearchParams(query), body: Buffer.from(bytes) });
}

const generate = '/v1beta/models/gemini-2.5-flash:generateContent';
const stream = '/v1beta/models/gemini-2.5-flash:streamGenerateContent';
const countTokens = '/v1beta/models/gemini-2.5-flash:countTokens';

function accepted(body: unknown, target = generate): DialectRequest {
  const request = call(target, body);
  if (request.kind === 'refused') throw new Error(request.message);
  return request;
}

const sent = (request: DialectRequest, model = request.model, maxOutputTokens: number | null = null) => {
  const { path, body } = request.callFor({ model, quirks, maxOutputTokens });
  return { path, body: body.toString() };
};

describe('the path', () => {
  test('names the model and the method', () => {
    expect(accepted({ contents })).toMatchObject({ model: 'gemini-2.5-flash', stream: false, isFree: false });
    expect(accepted({ contents }, stream)).toMatchObject({ stream: true, isFree: false });
    expect(accepted({ contents }, countTokens)).toMatchObject({
      stream: false,
      isFree: true,
      maxOutputTokens: 0,
    });
    expect(accepted({ contents }, '/v1beta/models/team/gem:ini:generateContent').model).toBe('team/gem:ini');
  });

  test.each([
    '/v1beta/models/gemini:embedContent',
    '/v1beta/models/gemini:batchGenerateContent',
    '/v1beta/models/gemini',
    '/v1beta/models/',
    '/v1beta/models/gemini:generateContent/',
    '/v1beta/models/gemini:GenerateContent',
    '/v2/models/gemini:generateContent',
    '/v1/gemini:generateContent',
  ])('%s is not served, and the refusal says what is', (path) => {
    expect(call(path, { contents })).toMatchObject({
      kind: 'refused',
      code: 'NOT_FOUND',
      message: expect.stringContaining('streamGenerateContent'),
    });
  });

  test.each(['', '  ', 'x'.repeat(300)])('a model named "%s" is refused', (model) => {
    expect(call(`/v1beta/models/${model}:generateContent`, { contents })).toMatchObject({
      code: 'REQUEST_INVALID',
      param: 'model',
    });
  });

  test('goes to the upstream’s model, encoded, in its own collection', () => {
    const request = accepted({ contents });
    expect(sent(request, 'gemini-x').path).toBe('/v1beta/models/gemini-x:generateContent');
    expect(sent(request, 'models/gemini-x').path).toBe('/v1beta/models/gemini-x:generateContent');
    expect(sent(request, 'tunedModels/mine').path).toBe('/v1beta/tunedModels/mine:generateContent');
    expect(sent(request, 'a b/ü?#:c').path).toBe('/v1beta/models/a%20b/%C3%BC%3F%23%3Ac:generateContent');
  });
});

describe('the version', () => {
  test.each(['v1', 'v1beta', 'v1alpha'])('%s goes on to upstream as the client chose it', (version) => {
    const request = accepted({ contents }, `/${version}/models/gemini:streamGenerateContent`);
    expect(request).toMatchObject({ model: 'gemini', stream: true });
    expect(sent(request, 'gemini-x').path).toBe(`/${version}/models/gemini-x:streamGenerateContent`);
    expect(geminiGenerate.paths).toContain(`/${version}/models/*`);
  });
});

describe('the query', () => {
  test('goes on, but never a secret', () => {
    const request = accepted(
      { contents },
      `${stream}?alt=sse&key=sk-1&access_token=t&%24key=x&prettyPrint=false`,
    );
    expect(sent(request).path).toBe(`${stream}?alt=sse&prettyPrint=false`);
    expect(sent(accepted({ contents }, `${generate}?key=sk-1`)).path).toBe(generate);
  });

  test.each([
    'fields=candidates',
    '%24fields=candidates',
    'callback=f',
    '%24callback=f',
    'alt=proto',
    '%24alt=media',
    'alt=json&alt=proto',
  ])('%s is refused: the answer might not say what was used', (query) => {
    expect(call(`${generate}?${query}`, { contents })).toMatchObject({ code: 'REQUEST_INVALID' });
  });

  test('enums may come as numbers', () => {
    const path = `${generate}?${new URLSearchParams({ $alt: 'json;enum-encoding=int' })}`;
    expect(sent(accepted({ contents }, path)).path).toBe(path);
  });
});

describe('the body', () => {
  const odd = `{ "contents" : [ {"parts":[{"text":"\\u0041 1.0e0"}]} ],\n "generationConfig":{ "temperature":1.50 } , "unknown":[1.0] }`;

  test('goes on byte for byte, whatever the upstream calls its model', () => {
    expect(sent(accepted(odd), 'other').body).toBe(odd);
  });

  test('a maximum is written among the settings, and every other byte stays', () => {
    expect(sent(accepted(odd), 'other', 7).body).toBe(
      odd.replace('"temperature":1.50', '"temperature":1.50,"maxOutputTokens":7'),
    );
  });

  test.each([
    [{ contents }, { contents, generationConfig: { maxOutputTokens: 7 } }],
    [
      { contents, generationConfig: null },
      { contents, generationConfig: { maxOutputTokens: 7 } },
    ],
    [
      { contents, generation_config: { top_k: 1 } },
      { contents, generation_config: { top_k: 1, maxOutputTokens: 7 } },
    ],
    [
      { contents, generation_config: { max_output_tokens: 9 } },
      { contents, generation_config: { max_output_tokens: 7 } },
    ],
    [
      { contents, generationConfig: { maxOutputTokens: 9 } },
      { contents, generationConfig: { maxOutputTokens: 7 } },
    ],
    [
      { contents, generationConfig: { maxOutputTokens: 5 } },
      { contents, generationConfig: { maxOutputTokens: 5 } },
    ],
    [
      { contents, generationConfig: { maxOutputTokens: null } },
      { contents, generationConfig: { maxOutputTokens: 7 } },
    ],
  ])('a maximum of 7 makes %j into %j', (before, after) => {
    expect(JSON.parse(sent(accepted(before), 'other', 7).body)).toEqual(after);
  });

  test.each(['generationConfig', 'generation_config'])('settings are read from %s', (name) => {
    const settings = name.includes('_')
      ? { max_output_tokens: 50, candidate_count: 3 }
      : { maxOutputTokens: 50, candidateCount: 3 };
    expect(accepted({ contents, [name]: settings })).toMatchObject({ maxOutputTokens: 50, choices: 3 });
  });

  test('without settings there is one candidate and no maximum', () => {
    expect(accepted({ contents })).toMatchObject({
      maxOutputTokens: null,
      choices: 1,
      continues: null,
      serviceTier: null,
      units: {},
    });
  });

  test('cached content and the service tier are read in both spellings', () => {
    expect(accepted({ contents, cachedContent: 'cachedContents/1', serviceTier: 'flex' })).toMatchObject({
      continues: 'cachedContents/1',
      serviceTier: 'flex',
    });
    expect(
      accepted({ contents, cached_content: 'cachedContents/1', service_tier: 'SERVICE_TIER_PRIORITY' }),
    ).toMatchObject({ continues: 'cachedContents/1', serviceTier: 'priority' });
  });

  test.each([
    ['{"contents":[{}],"contents":[{}]}', 'contents'],
    ['{"contents":[{}],"generationConfig":{},"generation_config":{}}', 'generationConfig'],
    ['{"contents":[{}],"GenerationConfig":{}}', 'generationConfig'],
    ['{"contents":[{}],"generationconfig":{}}', 'generationConfig'],
    ['{"contents":[{}],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":99}}', 'maxOutputTokens'],
    ['{"contents":[{}],"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":99}}', 'maxOutputTokens'],
    ['{"contents":[{}],"generationConfig":{"MaxOutputTokens":99}}', 'maxOutputTokens'],
    ['{"contents":[{}],"generationConfig":{"candidate_count":1,"candidateCount":8}}', 'candidateCount'],
    ['{"contents":[{}],"cachedContent":"a","cached_content":"b"}', 'cachedContent'],
    ['{"contents":[{}],"tools":[],"Tools":[]}', 'tools'],
  ])('%s is refused: another parser may read it differently', (body, param) => {
    expect(call(generate, body)).toMatchObject({ code: 'REQUEST_INVALID', param });
  });

  test.each([
    ['{"contents":[]}', 'contents'],
    ['{}', 'contents'],
    ['{"contents":"Hello"}', 'contents'],
    ['{"contents":[{}],"generationConfig":[]}', 'generationConfig'],
    ['{"contents":[{}],"generationConfig":{"maxOutputTokens":0}}', 'generationConfig.maxOutputTokens'],
    ['{"contents":[{}],"generationConfig":{"max_output_tokens":"many"}}', 'generationConfig.maxOutputTokens'],
    ['{"contents":[{}],"generationConfig":{"candidateCount":9}}', 'generationConfig.candidateCount'],
    ['{"contents":[{}],"serviceTier":1}', 'serviceTier'],
    ['{"contents":[{}],"cached_content":{}}', 'cachedContent'],
    ['[]', undefined],
    ['', undefined],
  ])('%s is refused, and the member named', (body, param) => {
    const refused = call(generate, body);
    expect(refused).toMatchObject({ kind: 'refused', code: 'REQUEST_INVALID' });
    expect('param' in refused ? refused.param : undefined).toBe(param);
  });

  test('Google’s parser takes an object for a list of one', () => {
    const one = {
      contents: { parts: { text: 'Hello there' } },
      systemInstruction: { parts: { text: 'Be brief' } },
    };
    expect(accepted(one).prompt().texts).toEqual(['Be brief', 'Hello there']);
  });

  test('the model in it may repeat the path’s, and follows it upstream; another is refused', () => {
    const named = accepted({ contents, model: 'models/gemini-2.5-flash' });
    expect(sent(named).body).toBe(JSON.stringify({ contents, model: 'models/gemini-2.5-flash' }));
    expect(JSON.parse(sent(named, 'theirs').body).model).toBe('models/theirs');
    expect(JSON.parse(sent(named, 'models/theirs').body).model).toBe('models/theirs');
    for (const model of ['models/gemini-2.5-pro', 'not-gemini-2.5-flash', 5]) {
      expect(call(generate, { contents, model })).toMatchObject({ code: 'REQUEST_INVALID', param: 'model' });
    }
  });

  test('the model inside what is to be counted follows the path upstream', () => {
    const body = { generateContentRequest: { model: 'models/gemini-2.5-flash', contents } };
    const request = accepted(body, countTokens);
    expect(sent(request).body).toBe(JSON.stringify(body));
    expect(JSON.parse(sent(request, 'theirs').body)).toEqual({
      generateContentRequest: { model: 'models/theirs', contents },
    });
  });

  test('parts that nest deeper than the stack are estimated', () => {
    const deep = `{"contents":[{"parts":[{"functionCall":{"args":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}}]}]}`;
    expect(accepted(deep).estimatedInputTokens).toBeGreaterThan(50_000);
    expect(() => accepted(deep).prompt()).not.toThrow();
  });
});

describe('an answer of upstream', () => {
  test('streams where the method says so, or where it comes as events all the same', () => {
    const whole = accepted({ contents });
    expect(['application/json', '', 'text/event-stream'].map((type) => whole.isStreamed(type))).toEqual([
      false,
      false,
      true,
    ]);
    const streamed = accepted({ contents }, stream);
    expect(
      ['application/json; charset=utf-8', '', 'text/event-stream'].map((type) => streamed.isStreamed(type)),
    ).toEqual([true, true, true]);
  });
});
