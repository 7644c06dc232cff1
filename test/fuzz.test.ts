import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { samples } from './fuzz/samples.ts';
import { streamProperty } from './fuzz/streams.ts';

// The short form of `npm run fuzz`.

it('mutated streams are survived, and read the same however they are cut', () => {
  fc.assert(streamProperty(), { numRuns: 10_000, seed: 20_261_123 });
});

describe.each(samples())('$name', ({ dialect, context, bytes }) => {
  it('is read to its usage', () => {
    const follower = dialect.followStream(context);
    follower.push(bytes);
    follower.end();
    expect(follower.reading().usage).not.toBeNull();
    expect(follower.reading().finishReason).not.toBeNull();
    expect(follower.reading().generated.texts.join('')).toContain('海は広い');
  });

  it('that never ends an event is given up before it fills the memory', () => {
    const follower = dialect.followStream(context);
    const chunk = Buffer.from(`${bytes.subarray(0, 6).toString()}"${'x'.repeat(2 ** 20)}`);
    let pushed = 0;
    expect(() => {
      for (; pushed < 64; pushed++) follower.push(chunk);
    }).toThrow(/longer than/);
    expect(pushed).toBeLessThanOrEqual(18);
  });
});
