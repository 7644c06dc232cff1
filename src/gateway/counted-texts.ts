/** How far each text is counted, and how many tokens that is. */
export interface CountedTexts {
  readonly lengths: readonly number[];
  readonly tokens: number;
}

export const nothingCounted: CountedTexts = { lengths: [], tokens: 0 };

/** What came behind the texts that are counted; all, where a text has come between them or is shorter. */
export function uncounted(
  { lengths, tokens }: CountedTexts,
  texts: readonly string[],
): { readonly tails: readonly string[]; readonly tokens: number } {
  const goesOn =
    texts.length === lengths.length && texts.every((text, index) => text.length >= (lengths[index] ?? 0));
  return goesOn
    ? { tails: texts.map((text, index) => text.slice(lengths[index])), tokens }
    : { tails: texts, tokens: 0 };
}

/** The texts counted up to where these rests of them begin. */
export function countedBefore(
  texts: readonly string[],
  rests: readonly string[],
  tokens: number,
): CountedTexts {
  return { lengths: texts.map((text, index) => text.length - (rests[index]?.length ?? 0)), tokens };
}
