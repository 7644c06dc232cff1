import { describe, expect, test } from 'vitest';
import { endings, layoutFaults, parseDirectives, usageFaults } from './directives.ts';

function directivesOf(model: string, headers: Record<string, string> = {}) {
  const parsed = parseDirectives(model, headers);
  if ('message' in parsed) throw new Error(parsed.message);
  return parsed;
}

const given: [name: string, value: string, parsed: unknown][] = [
  ['tokens', '200', 200],
  ['ttfb_ms', '0', 0],
  ['tokens_per_second', '0', 0],
  ['tokens_per_event', '10', 10],
  ['after', '7', 7],
  ['junk_events', '2', 2],
  ['retry_after_seconds', '30', 30],
  ['reasoning', '12', 12],
  ['reasoning_field', 'hidden', 'hidden'],
  ['cached_tokens', '5', 5],
  ['cache_write_tokens', '6', 6],
  ['cache_write_1h_tokens', '7', 7],
  ['refusal', 'true', true],
  ['refusal', '0', false],
  ['tool_calls', '2', 2],
  ['context_tokens', '100', 100],
];

describe('directives', () => {
  test('are absent by default: an answer that a person can watch', () => {
    const { model, directives } = directivesOf('sim-small');
    expect(model).toBe('sim-small');
    expect(directives).toMatchObject({
      ttfb_ms: 50,
      tokens_per_second: 100,
      tokens_per_event: 1,
      refusal: false,
    });
    expect(directives.fault).toEqual({ ending: null, usage: null, layout: new Set() });
  });

  test.each(given)('%s=%s is read from the model, which keeps its name', (name, value, parsed) => {
    const { model, directives } = directivesOf(`any/name:v1?${name}=${value}`);
    expect(model).toBe('any/name:v1');
    expect(directives).toHaveProperty(name, parsed);
  });

  test.each(given)('%s=%s is read from its header', (name, value, parsed) => {
    const header = `x-sim-${name.replaceAll('_', '-')}`;
    expect(directivesOf('sim-small', { [header]: value }).directives).toHaveProperty(name, parsed);
  });

  test('in a header override the model, and other headers are no directives', () => {
    const headers = { 'x-sim-tokens': '9', 'x-simple': '1', authorization: 'Bearer x' };
    expect(directivesOf('m?tokens=5&after=1', headers).directives).toMatchObject({ tokens: 9, after: 1 });
  });

  test('may be percent-encoded as in a query', () => {
    expect(directivesOf('m?fault=no_done%2Ccrlf').directives.fault.layout).toEqual(
      new Set(['no_done', 'crlf']),
    );
  });
});

describe('faults', () => {
  test.each(endings)('%s is an ending', (fault) => {
    expect(directivesOf(`m?fault=${fault}`).directives.fault.ending).toBe(fault);
  });

  test.each(usageFaults)('%s is a fault of usage', (fault) => {
    expect(directivesOf(`m?fault=${fault}`).directives.fault.usage).toBe(fault);
  });

  test('of different groups go together', () => {
    const { fault } = directivesOf(`m?fault=cut,zero_usage,${layoutFaults.join(',')}`).directives;
    expect(fault).toEqual({ ending: 'cut', usage: 'zero_usage', layout: new Set(layoutFaults) });
  });
});

describe('a bad directive', () => {
  test.each([
    ['m?speed=3', {}, 'model', "Unknown simulator directive 'speed'"],
    ['m?tokens=-1', {}, 'model', "'tokens=-1': expected a whole number from 0 to 1000000"],
    ['m?tokens=1.5', {}, 'model', "'tokens=1.5'"],
    ['m?tokens=', {}, 'model', "'tokens='"],
    ['m?tokens_per_event=0', {}, 'model', 'expected a whole number from 1 to'],
    ['m?after=1&after=2', {}, 'model', "'after' is given twice"],
    ['m?refusal=maybe', {}, 'model', 'expected one of true, 1, false, 0'],
    ['m?reasoning_field=thoughts', {}, 'model', 'expected one of reasoning_content, reasoning, hidden'],
    ['m?fault=explode', {}, 'model', "'fault=explode': expected a list"],
    ['m?fault=cut,stall', {}, 'model', 'at most one of refuse_400'],
    ['m?fault=no_usage,zero_usage', {}, 'model', 'at most one of no_usage'],
    ['m', { 'x-sim-ttfb-ms': 'soon' }, 'x-sim-ttfb-ms', "'ttfb_ms=soon'"],
    ['m', { 'x-sim-speed': '1' }, 'x-sim-speed', "Unknown simulator directive 'speed'"],
  ])('%s %j is a mistake that says which', (model, headers, param, message) => {
    expect(parseDirectives(model, headers)).toEqual({ param, message: expect.stringContaining(message) });
  });
});
