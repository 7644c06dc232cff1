import { describe, expect, test } from 'vitest';
import { JsonArrayFramer, JsonElementTooLargeError } from './json-array.ts';

const elements = [
  '{"text":"a ] } , [ {"}',
  '{"quote":"\\"}","slash":"\\\\"}',
  '{"deep":[{"a":[1,[2]]}]}',
  '{"text":"日本語 🌊"}',
  '[]',
];
const array = `\uFEFF \n[${elements.join('\n,\r\n')}\n]\n`;

function frame(bytes: Buffer, size: number) {
  const framer = new JsonArrayFramer();
  const found = [];
  for (let at = 0; at < bytes.length; at += size) found.push(...framer.push(bytes.subarray(at, at + size)));
  return { found, rest: framer.end(), framer };
}

describe('framing a JSON array', () => {
  test.each([1, 2, 3, 5, 7, 64, 10_000])('in pieces of %i bytes, every byte goes on unchanged', (size) => {
    const { found, rest, framer } = frame(Buffer.from(array), size);
    expect(found.map(({ json }) => json)).toEqual(elements);
    expect(Buffer.concat([...found.map(({ raw }) => raw), rest]).toString()).toBe(array);
    expect(rest.toString().trim()).toBe(']');
    expect(framer.isClosed).toBe(true);
  });

  test('an element goes on with its last byte, and the comma behind it with the next one', () => {
    const framer = new JsonArrayFramer();
    expect(framer.push(Buffer.from('[{"a":1')).map(({ raw }) => raw.toString())).toEqual([]);
    expect(framer.push(Buffer.from('},')).map(({ raw }) => raw.toString())).toEqual(['[{"a":1}']);
    expect(framer.push(Buffer.from('{}]')).map(({ raw }) => raw.toString())).toEqual([',{}']);
    expect(framer.end().toString()).toBe(']');
  });

  test('numbers and words among the elements go along, and are none', () => {
    const { found, rest } = frame(Buffer.from('[1,null,{"a":1},"x{",2]'), 1);
    expect(found.map(({ json, raw }) => [json, raw.toString()])).toEqual([['{"a":1}', '[1,null,{"a":1}']]);
    expect(rest.toString()).toBe(',"x{",2]');
  });

  test('an array that breaks off is not closed, and what is left of it is kept', () => {
    const { found, rest, framer } = frame(Buffer.from('[{"a":1},{"b":"'), 4);
    expect(found).toHaveLength(1);
    expect(rest.toString()).toBe(',{"b":"');
    expect(framer.isClosed).toBe(false);
  });

  test.each(['{"error":{}}', '<html>', 'data: {}\n\n', '"text"', ''])(
    '%s is no array, and is all left',
    (body) => {
      const { found, rest, framer } = frame(Buffer.from(body), 3);
      expect(found).toEqual([]);
      expect(rest.toString()).toBe(body);
      expect(framer.isClosed).toBe(false);
      expect(framer.isNoArray).toBe(body !== '');
    },
  );

  test.each([']', '[}', '[{]', '[[}}', '[]]', '[{"a":1}}]'])('%s never throws and loses no byte', (body) => {
    const { found, rest } = frame(Buffer.from(body), 1);
    expect(Buffer.concat([...found.map(({ raw }) => raw), rest]).toString()).toBe(body);
  });

  test('brackets that nest deeper than the stack are one element', () => {
    const depth = 200_000;
    const body = Buffer.from(`[${'['.repeat(depth)}${']'.repeat(depth)}]`);
    const { found } = frame(body, 4_096);
    expect(found.map(({ json }) => json.length)).toEqual([2 * depth]);
  });

  test('an element that never ends is not kept for ever', () => {
    const framer = new JsonArrayFramer({ maxElementBytes: 100 });
    framer.push(Buffer.from('[{"a":"'));
    framer.push(Buffer.alloc(200, 'x'));
    expect(() => framer.push(Buffer.from('x'))).toThrow(JsonElementTooLargeError);
  });
});
