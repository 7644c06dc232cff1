import { describe, expect, test } from 'vitest';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { JsonObject } from '../json.ts';
import { GeneratedText } from './generated.ts';

function collect(...deltas: JsonObject[]): Countable {
  const text = new GeneratedText();
  for (const delta of deltas) text.add(0, delta);
  return text.countable();
}

const texts = (...deltas: JsonObject[]) => collect(...deltas).texts;

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
    expect(texts(...deltas)).toEqual(['find', '{"q":1}', 'get', '{}']);
  });

  test('tool calls without an index are told apart by their ids, and by their places', () => {
    const call = (id: string | undefined, name: string) => ({ id, function: { name, arguments: '{}' } });
    const separate = [{ tool_calls: [call('a', 'one')] }, { tool_calls: [call('b', 'two')] }];
    expect(texts(...separate)).toEqual(['one', '{}', 'two', '{}']);
    expect(texts({ tool_calls: [call(undefined, 'one'), call('', 'two')] })).toEqual([
      'one',
      '{}',
      'two',
      '{}',
    ]);
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
