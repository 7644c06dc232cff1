import type { UsageFault } from './directives.ts';

/** What a request used, counted by o200k_base. */
export interface Usage {
  /** All of the prompt, what a cache held or took of it included. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Written to a cache for five minutes, and for an hour. */
  readonly cacheWriteTokens: number;
  readonly cacheWrite1hTokens: number;
  /** Reasoning included. */
  readonly completionTokens: number;
  readonly reasoningTokens: number;
}

export const zeroUsage: Usage = {
  promptTokens: 0,
  cachedTokens: 0,
  cacheWriteTokens: 0,
  cacheWrite1hTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
};

/** The usage that is told: the true one but for a fault; undefined where the fault withholds it. */
export function toldUsage(usage: Usage, fault: UsageFault | null): Usage | null | undefined {
  switch (fault) {
    case 'no_usage':
      return undefined;
    case 'null_usage':
      return null;
    case 'zero_usage':
      return zeroUsage;
    case 'usage_every_chunk':
    case null:
      return usage;
  }
}

/** A provider's usage object under its name: null where a fault says null, and no member where one withholds it. */
export function usageMember<Name extends string, Told>(
  name: Name,
  told: Usage | null | undefined,
  render: (usage: Usage) => Told,
): Partial<Record<Name, Told | null>> {
  if (told === undefined) return {};
  return { [name]: told === null ? null : render(told) } as Record<Name, Told | null>;
}
