import { describe, expect, test } from 'vitest';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { JsonObject } from '../json.ts';
import { GeneratedText } from './generated.ts';

/** An answer that ended with calls, if it has any. */
function collect(...deltas: JsonObject[]): Countable {
  const text = new GeneratedText();
  for (const delta of deltas) text.add(0, delta);
  text.end(0, 'tool_calls');
  return text.countable();
}

const texts = (...deltas: JsonObject[]) => collect(...deltas).texts;

/** Several calls at once as the model writes them: one call, with all of them in its arguments. */
function parallel(...calls: readonly (readonly [string, string])[]): string {
  const uses = calls.map(([name, args]) => `{"recipient_name":"functions.${name}","parameters":${args}`);
  return `{"tool_uses":[${uses.join('},')}`;
}

describe('what was generated', () => {
  test('a text is counted as a whole, not by its pieces', () => {
    const deltas = [
      { role: 'assistant', content: '' },
      { content: 'Hel' },
      { content: null },
      { content: 'lo' },
    ];
    expect(texts(...deltas)).toEqual(['Hello']);
  });

  test('refusals, transcripts and parts of a content are text', () => {
    expect(texts({ refusal: 'I ' }, { refusal: "can't" })).toEqual(["I can't"]);
    const audio = [
      { id: 'x', transcript: 'Hel' },
      { transcript: 'lo', data: 'AAAA' },
    ];
    expect(texts(...audio.map((part) => ({ audio: part })))).toEqual(['Hello']);
    const thinking = { type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] };
    const parts = [{ type: 'text', text: 'Hi' }, 'junk', null];
    expect(texts({ content: [thinking] }, { content: parts })).toEqual(['Hi', 'Hm']);
  });

  test('a thought under several names is one thought', () => {
    const detail = [{ type: 'reasoning.text', text: 'Hm' }];
    expect(texts({ reasoning: 'Hm', reasoning_content: 'Hm', reasoning_details: detail })).toEqual(['Hm']);
    expect(texts({ reasoning_content: 'Hm', reasoning_details: detail })).toEqual(['Hm']);
    expect(texts({ reasoning: null, reasoning_details: detail })).toEqual(['Hm']);
    const summary = [
      { type: 'reasoning.summary', summary: 'So' },
      { type: 'reasoning.encrypted', data: 'AA' },
    ];
    expect(texts({ reasoning_details: summary })).toEqual(['So']);
    expect(texts({ reasoning: 'one', reasoning_content: 'two' })).toEqual(['onetwo']);
  });

  test('tool calls are collected by their index', () => {
    const call = (index: number, name: string | undefined, text: string) => ({
      tool_calls: [{ index, function: { name, arguments: text } }],
    });
    const deltas = [
      call(0, 'find', ''),
      call(0, undefined, '{"q":'),
      call(1, 'get', '{}'),
      call(0, undefined, '1}'),
    ];
    expect(texts(...deltas)).toEqual([parallel(['find', '{"q":1}'], ['get', '{}'])]);
  });

  test('tool calls without an index are told apart by their ids, and by their places', () => {
    const call = (id: string | undefined, name: string) => ({ id, function: { name, arguments: '{}' } });
    const separate = [{ tool_calls: [call('a', 'one')] }, { tool_calls: [call('b', 'two')] }];
    const both = [parallel(['one', '{}'], ['two', '{}'])];
    expect(texts(...separate)).toEqual(both);
    expect(texts({ tool_calls: [call(undefined, 'one'), call('', 'two')] })).toEqual(both);
  });

  test('arguments of a chosen call count without blanks, wherever they are cut off', () => {
    const call = (args: string) => ({ tool_calls: [{ index: 0, function: { name: 'f', arguments: args } }] });
    expect(texts(call('{\n  "q": [1, 2]\n}'))).toEqual(['f', '{"q":[1,2]}']);
    expect(texts(call('{"q": [1, '))).toEqual(['f', '{"q":[1,']);
    expect(texts(call('{ "a b\\" c" : "d e'))).toEqual(['f', '{"a b\\" c":"d e']);
    const deep = '['.repeat(50_000) + ']'.repeat(50_000);
    expect(texts(call(deep))).toEqual(['f', deep]);
    expect(texts(call(`"${'\\'.repeat(1_000_000)}`))).toHaveLength(2);
  });

  test('a call that the request forced is counted without its name, which is in the prompt', () => {
    const text = new GeneratedText();
    text.add(0, { tool_calls: [{ index: 0, function: { name: 'f', arguments: '{}' } }] });
    text.end(0, 'tool_calls');
    const chosen = text.countable();
    text.end(0, 'stop');
    const forced = text.countable();
    expect([chosen.texts, forced.texts]).toEqual([['f', '{}'], ['{}']]);
    expect(forced.overhead).toBeLessThan(chosen.overhead);
  });

  test('a call that still runs is counted as the smaller of what it may turn out to be', () => {
    const text = new GeneratedText();
    text.add(0, { tool_calls: [{ index: 0, function: { name: 'f', arguments: '{}' } }] });
    text.end(0, null);
    const running = text.countable();
    text.end(0, 'stop');
    expect(text.countable()).toEqual(running);
  });

  test('a call behind a text costs more than both', () => {
    const call = { tool_calls: [{ index: 0, function: { name: 'f', arguments: '{}' } }] };
    expect(collect({ content: 'x' }, call).overhead).toBeGreaterThan(collect(call).overhead);
  });

  test('the older function call is one too, and every call costs more than its text', () => {
    const called = collect(
      { function_call: { name: 'find', arguments: '' } },
      { function_call: { arguments: '{}' } },
    );
    expect(called.texts).toEqual(['find', '{}']);
    expect(called.overhead).toBeGreaterThan(0);
    const two = [0, 1].map((index) => ({
      tool_calls: [{ index, function: { name: 'x', arguments: '{}' } }],
    }));
    expect(collect(...two).overhead).toBeGreaterThan(called.overhead);
    expect(collect({ content: 'x' }).overhead).toBe(0);
  });

  test('it is empty until there is text', () => {
    const text = new GeneratedText();
    expect(text.add(0, { role: 'assistant', content: '', tool_calls: [] })).toBe(false);
    expect(text.isEmpty).toBe(true);
    expect(text.add(0, { tool_calls: [{ index: 0, function: { name: 'x' } }] })).toBe(true);
    expect(text.isEmpty).toBe(false);
  });
});
