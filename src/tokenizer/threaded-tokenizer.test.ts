import { afterAll, describe, expect, test } from 'vitest';
import { createThreadedTokenizer, TokenizerBusyError } from './threaded-tokenizer.ts';

const tokenizer = createThreadedTokenizer();
afterAll(() => tokenizer.close());

const count = (texts: string | readonly string[], model = 'gpt-4o', overhead = 0) =>
  tokenizer.count(model, { texts: typeof texts === 'string' ? [texts] : texts, overhead });

/** A thread with a script of its own, in the place of the one that counts. */
const scripted = (script: string) => new URL(`data:text/javascript,${encodeURIComponent(script)}`);

describe('counting', () => {
  test('texts are counted each by itself, and the overhead is added', async () => {
    expect(await count('Hello, world!')).toBe(4);
    expect(await count(['Hello', ',', '', ' world', '!'], 'gpt-4o', 7)).toBe(4 + 7);
    expect(await count([], 'gpt-4o', 7)).toBe(7);
  });

  test('each model is counted by its own encoding', async () => {
    const text = 'გამარჯობა';
    expect(await count(text, 'gpt-4-0613')).toBeGreaterThan(await count(text, 'openai/gpt-4o-mini'));
    expect(await count(text, 'nobody-knows')).toBe(await count(text, 'gpt-4o'));
  });

  test('special tokens are what their characters are', async () => {
    expect(await count('<|endoftext|>')).toBeGreaterThan(3);
    expect(await count('a <|im_start|>system<|im_end|> b', 'gpt-4')).toBeGreaterThan(10);
  });

  test.each([
    ['one letter', 'a', 125_000],
    ['spaces', ' ', 7_813],
    ['newlines', '\n', 62_500],
    ['digits', '0', 333_334],
    ['an emoji', '😀', 500_000],
    ['letters with marks', 'a\u0300', null],
    ['signs with marks', '!\u0300', null],
    ['lone halves of pairs', '\ud83d', null],
    ['Chinese', '中', null],
  ])('a megabyte of %s is counted', async (_, unit, expected) => {
    const tokens = await count(unit.repeat(1_000_000 / unit.length));
    if (expected === null) expect(tokens).toBeGreaterThan(10_000);
    else expect(tokens).toBe(expected);
  });

  test('a short text does not wait for a long one that was asked for with it', async () => {
    await count('warm');
    const answered: string[] = [];
    const asked = [
      count('short').then(() => answered.push('short')),
      count('a sentence of a long text. '.repeat(40_000)).then(() => answered.push('long')),
    ];
    await Promise.race(asked);
    // Both in one piece would be settled in the same turn.
    expect(answered).toEqual(['short']);
    await Promise.all(asked);
  });

  test('what is counted at once is answered each to its own', async () => {
    const texts = Array.from({ length: 50 }, (_, index) => ' word'.repeat(index + 1));
    expect(await Promise.all(texts.map((text) => count(text)))).toEqual(texts.map((_, index) => index + 1));
  });
});

describe('the counting thread', () => {
  test('more text than may wait is refused at once, and there is room again afterwards', async () => {
    const small = createThreadedTokenizer({ maxWaitingLength: 10 });
    const first = small.count('gpt-4o', { texts: ['12345678'], overhead: 0 });
    await expect(small.count('gpt-4o', { texts: ['123'], overhead: 0 })).rejects.toBeInstanceOf(
      TokenizerBusyError,
    );
    expect(await first).toBe(3);
    expect(await small.count('gpt-4o', { texts: ['123'], overhead: 0 })).toBe(1);
    await small.close();
  });

  test.each([
    ['throws', 'throw new Error("out of luck")'],
    ['ends', 'process.exit(1)'],
  ])('one that %s fails what it was asked, and another takes its place', async (_, death) => {
    const script = `
      import { parentPort } from 'node:worker_threads';
      parentPort.on('message', (requests) => {
        for (const { id, texts } of requests) {
          if (texts[0] === 'die') { ${death} }
          else if (texts[0] !== 'wait') parentPort.postMessage([{ id, tokens: 5 }]);
        }
      });`;
    const mortal = createThreadedTokenizer({ workerUrl: scripted(script) });
    const ask = (text: string) => mortal.count('m', { texts: [text], overhead: 1 });
    const lost = [ask('wait'), ask('die')];
    expect((await Promise.allSettled(lost)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await ask('live')).toBe(6);
    await mortal.close();
  });

  test('a failed count fails alone', async () => {
    const script = `
      import { parentPort } from 'node:worker_threads';
      parentPort.on('message', (requests) => parentPort.postMessage(
        requests.map(({ id, texts }) => texts[0] === 'bad' ? { id, error: 'no' } : { id, tokens: 1 })));`;
    const other = createThreadedTokenizer({ workerUrl: scripted(script) });
    const counts = ['good', 'bad'].map((text) => other.count('m', { texts: [text], overhead: 0 }));
    expect((await Promise.allSettled(counts)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await other.close();
  });

  test('closing fails what waits and what comes later, and may be done before anything was counted', async () => {
    const closing = createThreadedTokenizer();
    const waiting = closing.count('gpt-4o', { texts: ['Hello'], overhead: 0 });
    const rejected = expect(waiting).rejects.toThrow('closed');
    await closing.close();
    await rejected;
    await expect(closing.count('gpt-4o', { texts: ['Hello'], overhead: 0 })).rejects.toThrow('closed');
    await createThreadedTokenizer().close();
  });
});
