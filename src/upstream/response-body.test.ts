import { describe, expect, it } from 'vitest';
import { maxBodyBytes, ResponseBody } from './response-body.ts';

function bodyOf() {
  const did: string[] = [];
  const flow = {
    pause: () => did.push('pause'),
    resume: () => did.push('resume'),
    abort: () => did.push('abort'),
  };
  return { body: new ResponseBody(flow), did };
}

it('stops the connection while nobody reads, and goes on when it was read', async () => {
  const { body, did } = bodyOf();
  body.push(Buffer.alloc(16 * 1024));
  expect(did).toEqual([]);
  body.push(Buffer.alloc(1));
  body.push(Buffer.alloc(1));
  expect(did).toEqual(['pause']);
  await body.next();
  expect(did).toEqual(['pause', 'resume']);
});

it('has whoever asks twice at once wait for the second piece', async () => {
  const body = new ResponseBody({ pause: () => {}, resume: () => {}, abort: () => {} });
  const both = [body.next(), body.next()];
  await Promise.resolve();
  body.push(Buffer.from('a'));
  expect((await both[0])?.value?.toString()).toBe('a');
  body.push(Buffer.from('b'));
  expect((await both[1])?.value?.toString()).toBe('b');
});

it('hands over a little at a time, however much has gathered, and all of it in order', async () => {
  const { body } = bodyOf();
  for (let piece = 0; piece < 20; piece++) body.push(Buffer.alloc(10_000, piece));
  body.end();
  const read: Buffer[] = [];
  for await (const bytes of body) {
    expect(bytes.length).toBeLessThanOrEqual(64 * 1024);
    read.push(bytes);
  }
  const expected = Array.from({ length: 20 }, (_, piece) => Buffer.alloc(10_000, piece));
  expect(Buffer.concat(read).equals(Buffer.concat(expected))).toBe(true);
});

it('is cut where it is longer than any answer, behind what was read until then', async () => {
  const { body, did } = bodyOf();
  const piece = Buffer.alloc(1024 * 1024);
  for (let bytes = 0; bytes < maxBodyBytes; bytes += piece.length) {
    body.push(piece);
    expect((await body.next()).value?.length).toBe(piece.length);
  }
  body.push(Buffer.alloc(1));
  await expect(body.next()).rejects.toMatchObject({ reason: 'cut' });
  expect(did).toContain('abort');
});

describe('takeEach', () => {
  /** Until everything that is due has happened. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('hands over pieces as they come, those of one read together, until one is not taken', async () => {
    const { body } = bodyOf();
    const taken: string[] = [];
    const stopped = body.takeEach((bytes) => taken.push(String(bytes)) < 2);
    body.push(Buffer.from('a'));
    body.push(Buffer.from('b'));
    await settled();
    expect(taken).toEqual(['ab']);
    body.push(Buffer.from('c'));
    expect(await stopped).toBe(true);
    body.push(Buffer.from('d'));
    await settled();
    expect(taken).toEqual(['ab', 'c']);
    expect((await body.next()).value?.toString()).toBe('d');
  });

  it('hands over what came before anyone asked, and tells the end behind it', async () => {
    const { body } = bodyOf();
    const taken: string[] = [];
    body.push(Buffer.from('a'));
    body.end();
    expect(await body.takeEach((bytes) => taken.push(String(bytes)) > 0)).toBe(false);
    expect(taken).toEqual(['a']);
  });

  it('breaks where upstream broke, behind all that came before', async () => {
    const { body } = bodyOf();
    const taken: string[] = [];
    const taking = body.takeEach((bytes) => taken.push(String(bytes)) > 0);
    body.push(Buffer.from('a'));
    body.fail('cut', new Error('reset'));
    await expect(taking).rejects.toMatchObject({ reason: 'cut' });
    expect(taken).toEqual(['a']);
  });

  it('fails with what taking a piece throws, and not whoever reads the connection', async () => {
    const { body } = bodyOf();
    const taking = body.takeEach(() => {
      throw new Error('no room');
    });
    body.push(Buffer.from('a'));
    await expect(taking).rejects.toThrow('no room');
  });

  it('lets the connection go on once what it held back was taken', async () => {
    const { body, did } = bodyOf();
    void body.takeEach(() => true);
    body.push(Buffer.alloc(16 * 1024 + 1));
    expect(did).toEqual(['pause']);
    await settled();
    expect(did).toEqual(['pause', 'resume']);
  });

  it('is over for whoever waits when the body is let go', async () => {
    const { body } = bodyOf();
    const taking = body.takeEach(() => true);
    await body.return();
    expect(await taking).toBe(false);
  });
});
