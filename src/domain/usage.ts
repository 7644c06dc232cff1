/**
 * What a request used, in disjoint classes: no token is counted in two of them.
 * DESIGN.md section 6 lists the classes; audio read from a cache, what a provider's own search put into
 * the prompt, and tokens of generated images have prices of their own with some providers, so they are
 * classes too.
 */
export const inputClasses = [
  'input',
  'cache_read',
  'cache_write_5m',
  'cache_write_1h',
  'input_audio',
  'cache_read_audio',
  'input_search',
] as const;
export const outputClasses = ['output', 'reasoning', 'output_audio', 'output_image'] as const;

/** Units that are paid for beside tokens, by the name of the tool that used them. */
export const toolUnits = [
  'web_search',
  'search_source',
  'grounded_prompt',
  'web_fetch',
  'file_search',
  'code_interpreter',
] as const;
export const unitClasses = ['image', 'requests', ...toolUnits] as const;

export type TokenClass = (typeof inputClasses)[number] | (typeof outputClasses)[number];
export type UsageClass = TokenClass | (typeof unitClasses)[number] | (string & {});

/** Counts by class: non-negative safe integers. A class that is absent was not reported, which is not zero. */
export type Usage = Readonly<Partial<Record<UsageClass, number>>>;

/** Where the counts come from: upstream's own number, our tokenizer, or an estimate from chunks. */
export type UsageMethod = 'usage' | 'tiktoken' | 'estimated';

/** What a model other than the one asked for used, on upstream's own decision: it has that model's price. */
export interface ModelUsage {
  /** The upstream's name of it. */
  readonly model: string;
  readonly usage: Usage;
}

export interface MeteredUsage {
  /** Of every model together. */
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

/** All output tokens: text, reasoning, audio and images. */
export function outputTokens(usage: Usage): number {
  return sumOf(usage, outputClasses);
}

/** Two usages class by class; a class that only one of them has is that one's. */
export function addUsage(a: Usage, b: Usage): Usage {
  const sum: Record<string, number> = {};
  for (const usage of [a, b]) {
    for (const [usageClass, count] of Object.entries(usage)) {
      if (count !== undefined) sum[usageClass] = (sum[usageClass] ?? 0) + count;
    }
  }
  return sum;
}
