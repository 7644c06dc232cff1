/**
 * What a request used, in disjoint classes: no token is counted in two of them.
 * DESIGN.md section 6 lists the classes; tool units have names of their own, such as `web_search`.
 */
export const inputClasses = [
  'input',
  'cache_read',
  'cache_write_5m',
  'cache_write_1h',
  'input_audio',
] as const;
export const outputClasses = ['output', 'reasoning', 'output_audio'] as const;
export const unitClasses = ['image', 'requests'] as const;

export type TokenClass = (typeof inputClasses)[number] | (typeof outputClasses)[number];
export type UsageClass = TokenClass | (typeof unitClasses)[number] | (string & {});

/** Counts by class: non-negative safe integers. A class that is absent was not reported, which is not zero. */
export type Usage = Readonly<Partial<Record<UsageClass, number>>>;

/** Where the counts come from: upstream's own number, our tokenizer, or an estimate from chunks. */
export type UsageMethod = 'usage' | 'tiktoken' | 'estimated';

export interface MeteredUsage {
  readonly usage: Usage;
  readonly method: UsageMethod;
}

function sumOf(usage: Usage, classes: readonly UsageClass[]): number {
  let sum = 0;
  for (const usageClass of classes) {
    const count = usage[usageClass];
    if (count !== undefined) sum += count;
  }
  return sum;
}

/** All input tokens: fresh, read from cache, written to cache, and audio. */
export function inputTokens(usage: Usage): number {
  return sumOf(usage, inputClasses);
}

/** All output tokens: text, reasoning, and audio. */
export function outputTokens(usage: Usage): number {
  return sumOf(usage, outputClasses);
}
