import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { mulberry32 } from './random.ts';
import { sampleJson } from './sample-json.ts';
import type { JsonSchema } from './task.ts';

const sample = (schema: JsonSchema, seed = 1) => sampleJson(schema, mulberry32(seed), 4);

describe('a value made from a JSON schema', () => {
  test.each<[JsonSchema, (value: unknown) => boolean]>([
    [{ type: 'integer' }, Number.isInteger],
    [{ type: 'number' }, (value) => typeof value === 'number'],
    [{ type: 'boolean' }, (value) => typeof value === 'boolean'],
    [{ type: 'null' }, (value) => value === null],
    [{ type: ['string', 'null'] }, (value) => typeof value === 'string'],
    [{ enum: ['red', 'green'] }, (value) => value === 'red' || value === 'green'],
    [{ const: 5 }, (value) => value === 5],
    [{ anyOf: [{ type: 'boolean' }, { type: 'string' }] }, (value) => typeof value === 'boolean'],
    [
      { type: 'array', items: { type: 'boolean' } },
      (value) => Array.isArray(value) && typeof value[0] === 'boolean',
    ],
    [{ $ref: '#/$defs/flag', $defs: { flag: { type: 'boolean' } } }, (value) => typeof value === 'boolean'],
  ])('fits %j', (schema, fits) => {
    expect(fits(sample(schema))).toBe(true);
  });

  test('has every property of an object, also one that is called __proto__', () => {
    const schema = JSON.parse(
      '{"type":"object","properties":{"__proto__":{"type":"integer"},"place":{"properties":{"x":{"type":"integer"}}}}}',
    );
    const value = JSON.stringify(sample(schema));
    expect(value).toMatch(/^\{"__proto__":\d+,"place":\{"x":\d+\}\}$/);
  });

  test('has strings of as many tokens as were asked for', () => {
    expect(countTokens(String(sample({ type: 'string' })))).toBe(4);
  });

  test('ends when the schema refers to itself', () => {
    const tree = {
      type: 'object',
      properties: { next: { $ref: '#' }, list: { type: 'array', items: { $ref: '#' } } },
    };
    expect(sample(tree)).toMatchObject({ next: { next: { next: {} } }, list: [{ list: [{}] }] });
    expect(sample({ $ref: '#' })).toBeDefined();
    expect(sample({ $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } })).toBeDefined();
    expect(sample({ anyOf: [{ $ref: '#' }] })).toBeDefined();
  });

  test('exists for any schema at all', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('type', 'properties', 'items', 'anyOf', '$ref', 'enum'),
          fc.jsonValue(),
        ),
        (schema) => {
          expect(() => JSON.stringify(sample({ ...schema }))).not.toThrow();
        },
      ),
    );
  });
});
