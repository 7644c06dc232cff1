import { describe, expect, test } from 'vitest';
import { containerSizes } from './containers.ts';
import { imageModelOf, ToolCalls } from './tool-calls.ts';

const nothing = { usage: null, toolUsage: null, imageModel: null, containerSizes: new Map() };

function calls(...items: object[]): ToolCalls {
  const toolCalls = new ToolCalls();
  toolCalls.addAll(items);
  return toolCalls;
}

const search = (id: string, action?: unknown) => ({
  type: 'web_search_call',
  id,
  status: 'completed',
  action,
});
const runs = (id: string, container?: string) => ({
  type: 'code_interpreter_call',
  id,
  container_id: container,
});
const image = (id: string, others: object) => ({
  type: 'image_generation_call',
  id,
  result: 'iVBO',
  ...others,
});

describe('units of built-in tools', () => {
  test('a search costs; opening a page and looking for words in it do not, nor does a search that failed', () => {
    const items = [
      search('a', { type: 'search', query: 'x' }),
      search('b', { type: 'open_page' }),
      search('c', { type: 'find_in_page' }),
      { ...search('d', { type: 'search' }), status: 'failed' },
      search('e'),
    ];
    expect(calls(...items).units(nothing)).toEqual({ web_search: 2 });
  });

  test('a container costs once, however often code runs in it; without one each run does', () => {
    expect(calls(runs('a', 'c1'), runs('b', 'c1'), runs('c', 'c2')).units(nothing)).toEqual({
      code_interpreter: 2,
    });
    expect(calls(runs('a'), runs('b')).units(nothing)).toEqual({ code_interpreter: 2 });
  });

  test('a container costs by its memory, and one of a shell that the provider runs as well', () => {
    const sizes = containerSizes([
      { type: 'code_interpreter', container: { type: 'auto', memory_limit: '16g' } },
      { type: 'shell', environment: { type: 'container_auto', memory_limit: '4g' } },
    ]);
    const shell = (id: string, environment: unknown) => ({ type: 'shell_call', id, environment });
    const hosted = (id: string, container_id: string) =>
      shell(id, { type: 'container_reference', container_id });
    const items = [
      runs('a', 'c1'),
      hosted('b', 'c2'),
      hosted('c', 'c2'),
      hosted('d', 'c1'),
      shell('e', { type: 'local' }),
      shell('f', null),
    ];
    expect(calls(...items).units({ ...nothing, containerSizes: sizes })).toEqual({ code_interpreter: 20 });
    expect(calls(...items).units(nothing)).toEqual({ code_interpreter: 2 });
  });

  test('an item that comes again in the whole answer counts once', () => {
    const toolCalls = new ToolCalls();
    const items = [search('a'), { type: 'file_search_call', id: 'b' }, { type: 'file_search_call' }];
    for (const [place, item] of items.entries()) toolCalls.add(place, item);
    toolCalls.addAll(items);
    expect(toolCalls.units(nothing)).toEqual({ web_search: 1, file_search: 2 });
  });

  test('what OpenAI says of its tools goes before what was counted, a zero too', () => {
    const toolUsage = { web_search: { num_requests: 3 } };
    expect(calls(search('a')).units({ ...nothing, toolUsage })).toEqual({ web_search: 3 });
    const none = { web_search: { num_requests: 0 } };
    expect(calls(search('a')).units({ ...nothing, toolUsage: none })).toEqual({});
  });

  test('so does what xAI and OpenRouter say in the usage', () => {
    const details = {
      web_search_calls: 1,
      x_search_calls: 2,
      code_interpreter_calls: 4,
      file_search_calls: 1,
      document_search_calls: 1,
      mcp_calls: 9,
      image_generation_calls: 1,
    };
    expect(
      calls(runs('a', 'c')).units({ ...nothing, usage: { server_side_tool_usage_details: details } }),
    ).toEqual({
      web_search: 3,
      file_search: 2,
      code_interpreter: 4,
      image: 1,
    });
    const usage = { server_tool_use_details: { web_search_requests: 2 } };
    expect(calls().units({ ...nothing, usage })).toEqual({ web_search: 2 });
  });

  test('a report that can not be true is none', () => {
    const toolUsage = { web_search: { num_requests: -1 } };
    const usage = { server_side_tool_usage_details: { web_search_calls: 'many', file_search_calls: 1.5 } };
    expect(calls(search('a')).units({ ...nothing, usage, toolUsage })).toEqual({ web_search: 1 });
  });
});

describe('generated images', () => {
  test('have a model of their own, with the tokens that OpenAI reports', () => {
    const toolUsage = {
      image_gen: {
        input_tokens: 60,
        output_tokens: 1_060,
        output_tokens_details: { image_tokens: 1_056, text_tokens: 4 },
        total_tokens: 1_120,
      },
    };
    const reports = { ...nothing, toolUsage, imageModel: 'gpt-image-2' };
    expect(calls(image('a', { quality: 'low' })).otherModels(reports)).toEqual([
      { model: 'gpt-image-2', usage: { input: 60, output: 4, output_image: 1_056 } },
    ]);
  });

  test.each([
    ['low', '1024x1024', 272],
    ['medium', '1024x1536', 1_584],
    ['high', '1536x1024', 6_208],
    ['auto', 'huge', 1_056],
    [undefined, undefined, 1_056],
  ])('where it reports none, have the published tokens: %s, %s', (quality, size, tokens) => {
    const zero = { image_gen: { input_tokens: 0, output_tokens: 0 } };
    expect(calls(image('a', { quality, size })).otherModels({ ...nothing, toolUsage: zero })).toEqual([
      { model: 'gpt-image-1', usage: { output_image: tokens } },
    ]);
  });

  test.each(['__proto__', 'toString', 'constructor', 'valueOf'])(
    'have the usual tokens with a quality or a size named %s',
    (name) => {
      for (const named of [{ quality: name }, { size: name }, { quality: name, size: name }]) {
        expect(calls(image('a', named)).otherModels(nothing)).toEqual([
          { model: 'gpt-image-1', usage: { output_image: 1_056 } },
        ]);
      }
    },
  );

  test('that the provider counted and is paid for each have no tokens beside', () => {
    const usage = (count: number) => ({ server_side_tool_usage_details: { image_generation_calls: count } });
    expect(calls(image('a', {})).otherModels({ ...nothing, usage: usage(1) })).toEqual([]);
    expect(calls(image('a', {})).otherModels({ ...nothing, usage: usage(0) })).toHaveLength(1);
  });

  test('an image that did not come out costs nothing', () => {
    expect(calls(image('a', { result: null })).otherModels(nothing)).toEqual([]);
    expect(calls().otherModels(nothing)).toEqual([]);
  });

  test('the model is the one that the tool names', () => {
    expect(
      imageModelOf([7, { type: 'mcp', model: 'x' }, { type: 'image_generation', model: 'gpt-image-2' }]),
    ).toBe('gpt-image-2');
    expect(imageModelOf([{ type: 'image_generation' }])).toBeNull();
    expect(imageModelOf('junk')).toBeNull();
  });
});
