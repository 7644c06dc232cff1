import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findMembers, type ObjectMembers, spliceMembers } from './json-splice.ts';

const watched = new Set(['model', 'stream', 'n']);

function members(text: string): ObjectMembers {
  const found = findMembers(Buffer.from(text), watched);
  if (found.kind === 'ambiguous') throw new Error(`ambiguous: ${found.name}`);
  return found;
}

function splice(text: string, changes: Record<string, string>): string {
  return spliceMembers(Buffer.from(text), members(text), new Map(Object.entries(changes))).toString();
}

/** A JSON text with blanks wherever they may stand, and names written with escapes here and there. */
const blank = fc.constantFrom('', ' ', '\n', '\t\r\n  ');
const escaped = (text: string) =>
  [...text].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const jsonText = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      '1',
      '-0.5e3',
      'true',
      'null',
      '""',
      '"\\\\"',
      '"\\""',
      '"]}{["',
      '"model"',
      `"${'x'.repeat(60)}\\"\\\\"`,
    ),
    fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
    fc
      .tuple(blank, fc.array(tie('value'), { maxLength: 3 }))
      .map(([space, items]) => `[${space}${items.join(`${space},`)}${space}]`),
    fc
      .tuple(blank, fc.array(tie('value'), { maxLength: 3 }))
      .map(
        ([space, items]) =>
          `{${space}${items.map((item, index) => `"model${index}"${space}:${item}`).join(`,${space}`)}${space}}`,
      ),
  ),
})).value;
const member = fc.tuple(
  fc.constantFrom('model', 'stream', 'n', 'other', '', 'x"y', '模'),
  fc.boolean(),
  jsonText,
);
const object = fc
  .tuple(fc.uniqueArray(member, { maxLength: 6, selector: ([name]) => name }), blank, blank)
  .map(([list, before, between]) => {
    const written = list.map(([name, escapes, value]) => {
      const quoted = escapes ? `"${escaped(name)}"` : JSON.stringify(name);
      return `${between}${quoted}${before}:${between}${value}${before}`;
    });
    return `${before}{${between}${written.join(',')}${between}}${before}`;
  });

describe('splicing members of a JSON object', () => {
  test.each([
    [
      'a value is replaced where it stands',
      '{"model": "a", "x": [1, 2]}',
      { model: '"b"' },
      '{"model": "b", "x": [1, 2]}',
    ],
    ['a member that is absent comes last', '{"model":"a" }', { n: '2' }, '{"model":"a","n":2 }'],
    [
      'several at once',
      '{"n":1,"x":{},"stream":false}',
      { stream: 'true', n: '3', model: '"m"' },
      '{"n":3,"x":{},"stream":true,"model":"m"}',
    ],
    ['into an empty object', '{ }', { n: '1', model: '"m"' }, '{"n":1,"model":"m" }'],
    [
      'a name written with escapes is that name',
      '{"mod\\u0065l":"a"}',
      { model: '"b"' },
      '{"mod\\u0065l":"b"}',
    ],
    [
      'a member of the same name deeper down is left alone',
      '{"x":{"model":"a"},"model":"b"}',
      { model: '"c"' },
      '{"x":{"model":"a"},"model":"c"}',
    ],
    [
      'a value that ends in an escaped quote',
      '{"x":"\\\\\\"","model":"a\\\\"}',
      { model: '1' },
      '{"x":"\\\\\\"","model":1}',
    ],
  ])('%s', (_, text, changes, expected) => {
    expect(splice(text, changes)).toBe(expected);
  });

  test('without a change the very same buffer comes back', () => {
    const body = Buffer.from('{"model":"a"}');
    expect(spliceMembers(body, members('{"model":"a"}'), new Map())).toBe(body);
  });

  test.each([
    ['twice', '{"model":"a","model":"b"}', 'model'],
    ['twice, once with escapes', '{"model":"a","\\u006dodel":"b"}', 'model'],
    ['in another case', '{"Model":"a"}', 'Model'],
    ['with a long s', '{"\u017ftream":true}', '\u017ftream'],
  ])('a watched member %s is ambiguous', (_, text, name) => {
    expect(findMembers(Buffer.from(text), watched)).toMatchObject({ kind: 'ambiguous', name });
  });

  test('a member that nobody watches may occur as often as it likes', () => {
    expect(members('{"x":1,"x":2,"X":3,"":4,"":5}').spans.size).toBe(0);
  });

  test('what is spliced parses to the object with its members set, and every other byte is as it was', () => {
    const changes = fc.dictionary(fc.constantFrom('model', 'stream', 'n'), jsonText, { maxKeys: 3 });
    fc.assert(
      fc.property(object, changes, (text, changed) => {
        const spliced = splice(text, changed);
        const values = Object.entries(changed).map(([name, value]) => [name, JSON.parse(value)]);
        expect(JSON.parse(spliced)).toEqual({ ...JSON.parse(text), ...Object.fromEntries(values) });
        expect(untouched(spliced, Object.keys(changed))).toBe(untouched(text, Object.keys(changed)));
      }),
      { numRuns: 2_000 },
    );
  });

  /** The text without the values of `names`, and without the members of those names that were added at the end. */
  function untouched(text: string, names: readonly string[]): string {
    const { spans } = members(text);
    const held = [...spans]
      .filter(([name]) => names.includes(name))
      .sort(([, a], [, b]) => b.start - a.start);
    const bytes = Buffer.from(text);
    const without = held.reduce(
      (rest, [, { start, end }]) => Buffer.concat([rest.subarray(0, start), rest.subarray(end)]),
      bytes,
    );
    return names.reduce(
      (rest, name) => rest.replace(new RegExp(`,?"${name}":(?=[,\\s}])`), ''),
      without.toString(),
    );
  }
});
