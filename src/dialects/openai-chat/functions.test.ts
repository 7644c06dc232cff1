import { describe, expect, test } from 'vitest';
import { renderFunctions } from './functions.ts';

const rendered = (parameters: object, description?: string) =>
  renderFunctions([{ name: 'look', description, parameters }]);

describe('function definitions as OpenAI shows them', () => {
  test('are TypeScript, with titles and descriptions as comments', () => {
    const { text } = rendered(
      {
        properties: {
          city: { title: 'City', description: 'where', type: 'string' },
          unit: { enum: ['c', 'f'] },
          days: { type: ['integer', 'null'] },
        },
        required: ['city'],
      },
      'Look.\n\n    Args:\n        city: where\n    ',
    );
    expect(text.split('\n')).toEqual([
      'namespace functions {',
      '',
      '// Look.',
      '',
      'Args:',
      '    city: where',
      'type look = (_: {',
      '// City',
      '//',
      '// where',
      'city: string,',
      'unit?: "c" | "f",',
      'days?: number | null,',
      '}) => any;',
      '',
      '} // namespace functions',
    ]);
  });

  test('come to a token less for each object that begins without a comment', () => {
    const plain = { type: 'string' };
    expect(rendered({ properties: { a: { ...plain, description: 'x' }, b: plain } }).correction).toBe(0);
    expect(rendered({ properties: { a: plain, b: plain } }).correction).toBe(-1);
    const inner = { type: 'array', items: { type: 'object', properties: { b: plain } } };
    expect(rendered({ properties: { a: inner } }).correction).toBe(-2);
  });

  test('hold what they refer to, and a schema that refers to itself ends', () => {
    const named = { $defs: { Pair: { type: 'object', properties: { left: { type: 'number' } } } } };
    expect(rendered({ ...named, properties: { a: { $ref: '#/$defs/Pair' } } }).text).toContain(
      'left?: number',
    );
    const wide = Array.from({ length: 20 }, () => ({ $ref: '#/$defs/Self' }));
    const endless = { Self: { anyOf: wide, description: 'x'.repeat(1_000) } };
    expect(rendered({ $defs: endless, properties: { a: { $ref: '#/$defs/Self' } } }).text).toContain('any');
    const repeated = {
      Long: { type: 'object', properties: { a: { description: 'x'.repeat(1_000_000) } } },
    };
    const members = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, i) => [i, { $ref: '#/$defs/Long' }]),
    );
    expect(rendered({ $defs: repeated, properties: members }).text.length).toBeLessThan(10_000_000);
  });

  test.each([[null], [{ name: 3, parameters: [] }], [{ parameters: { properties: { a: null, b: [] } } }]])(
    'of any shape are rendered',
    (definition) => expect(renderFunctions([definition]).text).toContain('namespace'),
  );
});
