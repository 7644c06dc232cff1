import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandName, createFramer, type Frame } from './resp.ts';

const told = (frames: readonly Frame[]) => frames.map(({ sign, bytes }) => [sign, bytes.toString('latin1')]);

/** The frames of some text that arrives in pieces, of one byte by default. */
function framesOf(text: string, pieceLengths: readonly number[] = []): readonly Frame[] {
  const framer = createFramer();
  const frames: Frame[] = [];
  const bytes = Buffer.from(text, 'latin1');
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const length = pieceLengths[index % pieceLengths.length] ?? 1;
    frames.push(...framer.push(bytes.subarray(at, at + length)));
    at += length;
  }
  expect(framer.takeRest()).toHaveLength(0);
  return frames;
}

const messages: readonly (readonly [string, string])[] = [
  ['a status', '+OK\r\n'],
  ['an empty status', '+\r\n'],
  ['an error', '-ERR no\r\n'],
  ['a number', ':-12\r\n'],
  ['a bulk string', '$5\r\nhello\r\n'],
  ['an empty bulk string', '$0\r\n\r\n'],
  ['a bulk string that looks like messages', '$12\r\n+OK\r\n*2\r\n\r\n\r\r\n'],
  ['no bulk string', '$-1\r\n'],
  ['an array', '*2\r\n:1\r\n$1\r\na\r\n'],
  ['an empty array', '*0\r\n'],
  ['no array', '*-1\r\n'],
  ['arrays in arrays', '*3\r\n*2\r\n:1\r\n*0\r\n$-1\r\n*1\r\n*1\r\n+a\r\n'],
  ['null', '_\r\n'],
  ['a boolean', '#t\r\n'],
  ['a double', ',-inf\r\n'],
  ['a big number', '(3492890328409238509324850943850943825024385\r\n'],
  ['a bulk error', '!9\r\nERR no\r\n.\r\n'],
  ['a verbatim string', '=7\r\ntxt:a\r\n\r\n'],
  ['a map', '%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n'],
  ['a set', '~2\r\n+a\r\n+b\r\n'],
  ['a push', '>2\r\n+message\r\n*1\r\n+a\r\n'],
];

describe('the messages of Redis', () => {
  it.each(messages)('%s is one, wherever it is cut', (_, message) => {
    for (let cut = 1; cut <= message.length; cut++) {
      const frames = framesOf(message + message, [cut, message.length]);
      expect(told(frames)).toEqual([
        [message[0], message],
        [message[0], message],
      ]);
    }
  });

  it('have the attributes before them, and their own sign', () => {
    const attributed = '|1\r\n+popularity\r\n%1\r\n+a\r\n,0.1\r\n*2\r\n:1\r\n|1\r\n+ttl\r\n:5\r\n:2\r\n';
    expect(told(framesOf(`${attributed}:7\r\n`))).toEqual([
      ['*', attributed],
      [':', ':7\r\n'],
    ]);
    expect(told(framesOf('|1\r\n+a\r\n:1\r\n>1\r\n+x\r\n'))[0]?.[0]).toBe('>');
  });

  it('come out as they went in, however they follow each other and arrive', () => {
    const leaf = fc.constantFrom(
      ...messages.filter(([, text]) => !text.startsWith('>')).map(([, text]) => text),
    );
    const { value } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        leaf,
        fc.array(tie('value'), { maxLength: 4 }).map((inner) => `*${inner.length}\r\n${inner.join('')}`),
        fc
          .array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 })
          .map((pairs) => `%${pairs.length}\r\n${pairs.flat().join('')}`),
      ),
    }));
    const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), pieces, (texts, lengths) => {
        expect(told(framesOf(texts.join(''), lengths))).toEqual(texts.map((text) => [text[0], text]));
      }),
    );
  });

  it('that are not complete are left over', () => {
    const framer = createFramer();
    expect(told(framer.push(Buffer.from('+OK\r\n*2\r\n:1\r\n$3\r\nab')))).toEqual([['+', '+OK\r\n']]);
    expect(framer.takeRest().toString()).toBe('*2\r\n:1\r\n$3\r\nab');
    expect(told(framer.push(Buffer.from(':1\r\n')))).toEqual([[':', ':1\r\n']]);
  });

  it.each(['PING\r\n', '\r\n', '$x\r\n', '*-2\r\n', '$?\r\n'])('are not %j', (text) => {
    expect(() => createFramer().push(Buffer.from(text))).toThrow();
  });

  it('tell the names of commands', () => {
    const [frame] = framesOf('*2\r\n$9\r\nsubscribe\r\n$1\r\na\r\n');
    expect(commandName(frame!)).toBe('SUBSCRIBE');
    expect(commandName(framesOf('*0\r\n')[0]!)).toBe('');
  });
});
