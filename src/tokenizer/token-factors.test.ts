import { describe, expect, test } from 'vitest';
import { accuracyPercent } from '../domain/accuracy.ts';
import { onePpm, TokenFactors } from './token-factors.ts';

const claude = 'claude-sonnet-4-5';

/** Factors that have seen so many answers of 1,000 tokens of ours. */
function taught(ratios: readonly number[], model = claude): TokenFactors {
  const factors = new TokenFactors([]);
  for (const ratio of ratios) factors.learn(model, 'output', 1_000, 1_000 * ratio);
  return factors;
}

const factorOf = (factors: TokenFactors) => (factors.list()[0]?.factorPpm ?? Number.NaN) / onePpm;

describe('a learned factor', () => {
  test('is near what a provider counts after a few answers', () => {
    const ratios = [1.3, 1.25, 1.35, 1.28, 1.32];
    expect(factorOf(taught(ratios))).toBeCloseTo(1.3, 1);
    expect(taught([...ratios, ...ratios]).applied(claude, 'output', 10_000)).toBeGreaterThan(12_500);
  });

  test('is learned by model and side, and not at all for OpenAI, whose own vocabulary we count by', () => {
    const factors = taught([1.5, 1.5, 1.5]);
    expect(factors.applied(claude, 'input', 100)).toBe(100);
    expect(factors.applied('gemini-2.5-pro', 'output', 100)).toBe(100);
    const own = taught([1.5, 1.5, 1.5], 'gpt-4o');
    expect(own.applied('gpt-4o', 'output', 100)).toBe(100);
    expect(own.list()).toMatchObject([{ samples: 3, factorPpm: onePpm }]);
  });

  test('is not thrown by one answer whose text explains nothing, nor by a short one', () => {
    const steady = Array.from({ length: 20 }, () => 1.1);
    expect(factorOf(taught([...steady, 50, 0.01, Number.NaN, Number.POSITIVE_INFINITY]))).toBeCloseTo(1.1, 2);
    const factors = taught(steady);
    factors.learn(claude, 'output', 3, 9);
    expect(factorOf(factors)).toBeCloseTo(1.1, 2);
  });

  test('stays within its bounds, and is an integer', () => {
    for (const [ratio, bound] of [
      [3.9, 3],
      [0.41, 0.5],
    ] as const) {
      expect(factorOf(taught(Array.from({ length: 100 }, () => ratio)))).toBe(bound);
    }
    expect(Number.isSafeInteger(taught([1.2345678]).list()[0]?.factorPpm)).toBe(true);
  });

  test('follows a provider that changes its count', () => {
    const before = Array.from({ length: 200 }, () => 1);
    const after = Array.from({ length: 60 }, () => 1.35);
    expect(factorOf(taught([...before, ...after]))).toBeGreaterThan(1.3);
  });
});

describe('a cautious count', () => {
  test('of an answer is never more than our own, and of a prompt may be', () => {
    const factors = taught([1.4, 1.4, 1.4, 1.4]);
    for (let round = 0; round < 4; round++) factors.learn(claude, 'input', 1_000, 1_400);
    expect(factors.appliedCautiously(claude, 'output', 101)).toBe(101);
    expect(factors.appliedCautiously(claude, 'input', 1_000)).toBeGreaterThan(1_100);
  });

  test('is lower by what answers differ from each other, and not where they do not', () => {
    const even = taught(Array.from({ length: 20 }, () => 1));
    expect(even.appliedCautiously(claude, 'output', 1_000)).toBe(1_000);
    const uneven = taught(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 0.8 : 1.1)));
    expect(uneven.appliedCautiously(claude, 'output', 1_000)).toBeLessThan(850);
  });

  test('of a model of which nothing was learned is lower where its vocabulary is another one', () => {
    const none = new TokenFactors([]);
    expect(none.appliedCautiously(claude, 'output', 99)).toBe(89);
    expect(none.appliedCautiously('gpt-4o', 'output', 99)).toBe(99);
    expect(none.appliedCautiously('our-deployment', 'output', 99)).toBe(99);
  });
});

describe('what is kept', () => {
  test('is what changed since, and gives the same counts again', () => {
    const factors = taught([1.3, 1.3, 1.3, 1.3]);
    const kept = factors.takeChanged();
    expect(kept).toHaveLength(1);
    expect(factors.takeChanged()).toEqual([]);
    factors.putBack(kept);
    expect(factors.takeChanged()).toEqual(kept);
    const restored = new TokenFactors(kept);
    expect(restored.applied(claude, 'output', 1_000)).toBe(factors.applied(claude, 'output', 1_000));
    expect(restored.list()[0]).toMatchObject({ samples: 4, accuracyPercent: null });
  });

  test('is taken within bounds, whoever wrote it', () => {
    const restored = new TokenFactors([{ model: 'm', side: 'output', factorPpm: 90_000_000, samples: 3 }]);
    expect(restored.applied('m', 'output', 100)).toBe(300);
  });

  test('is bounded in number: what was asked for longest ago is forgotten', () => {
    const factors = new TokenFactors([]);
    for (let index = 0; index < 5_000; index++) factors.learn(`m${index}`, 'output', 100, 120);
    expect(factors.list()).toHaveLength(4_000);
    expect(factors.applied('m0', 'output', 1_000)).toBe(1_000);
    expect(factors.applied('m4999', 'output', 1_000)).toBeGreaterThan(1_000);
  });
});

test('accuracy is 100 where counts are equal and 0 where one is off by all of the other', () => {
  expect(accuracyPercent(50, 50)).toBe(100);
  expect(accuracyPercent(45, 50)).toBeCloseTo(90);
  expect(accuracyPercent(55, 50)).toBeCloseTo(90);
  expect(accuracyPercent(500, 50)).toBe(0);
});
