import { readFileSync } from 'node:fs';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { TextEstimate } from '../src/dialects/text-estimate.ts';
import { median, rounded } from './figures.ts';
import type { BenchOptions, Question } from './question.ts';

// How long does the estimate of a prompt hold up the event loop, by the prompt's length? The baseline, in
// the same run, is what has to be done with the prompt anyway: reading its JSON. The exact count, which
// isn't on the request path, stands beside it for the prompts that it manages in reasonable time.

const lengths = [1_000, 10_000, 100_000, 1_000_000, 30_000_000];
const longestExact = 1_000_000;
const minimumRoundMs = 50;

/** Prose and code as they stand in this repository, repeated to a length. */
function textOf(length: number): string {
  const files = ['../README.md', '../src/dialects/text-estimate.ts', '../src/dialects/sse.ts'];
  const source = files.map((file) => readFileSync(new URL(file, import.meta.url), 'utf8')).join('\n');
  return source.repeat(Math.ceil(length / source.length)).slice(0, length);
}

function estimateOf(text: string): number {
  const sum = new TextEstimate();
  sum.add(text);
  return sum.total();
}

/** Microseconds a call, of each round. */
function measure(work: () => unknown, rounds: number): number[] {
  work();
  return Array.from({ length: rounds }, () => {
    const startedAt = performance.now();
    let calls = 0;
    do {
      work();
      calls++;
    } while (performance.now() - startedAt < minimumRoundMs);
    return rounded(((performance.now() - startedAt) * 1_000) / calls);
  });
}

function measureLength(length: number, { rounds }: BenchOptions) {
  const json = JSON.stringify({ content: textOf(length) });
  const { content } = JSON.parse(json);
  const estimateRounds = measure(() => estimateOf(content), rounds);
  const parseRounds = measure(() => JSON.parse(json), rounds);
  const isCounted = length <= longestExact;
  const exactRounds = isCounted ? measure(() => countTokens(content), rounds) : [];
  return {
    characters: length,
    estimate_us: median(estimateRounds),
    json_parse_us: median(parseRounds),
    estimate_to_json_parse: rounded(median(estimateRounds) / median(parseRounds)),
    exact_count_us: isCounted ? median(exactRounds) : null,
    estimate_to_exact_tokens: isCounted ? rounded(estimateOf(content) / countTokens(content)) : null,
    rounds: { estimate_us: estimateRounds, json_parse_us: parseRounds, exact_count_us: exactRounds },
  };
}

export const estimate: Question = async (options) => {
  const results = lengths.map((length) => measureLength(length, options));
  return {
    table: results.map(({ rounds: _, ...figures }) => figures),
    result: { benchmark: 'estimate', results },
    failures: [],
  };
};
