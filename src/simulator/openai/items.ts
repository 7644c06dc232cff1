import { type Prompt, PromptDraft } from '../prompt-tokens.ts';

/** Text, or the ids of its tokens. */
export type Item = string | readonly number[];

/** One list of ids is one item; any other list has an item for each of its elements. */
export function itemsOf(
  given: string | readonly string[] | readonly number[] | readonly (readonly number[])[],
): readonly Item[] {
  if (typeof given === 'string') return [given];
  const items: Item[] = [];
  const ids: number[] = [];
  for (const element of given) {
    if (typeof element === 'number') ids.push(element);
    else items.push(element);
  }
  return ids.length > 0 ? [ids] : items;
}

/** The items themselves: nothing stands around or between them. */
export function promptOfItems(items: readonly Item[]): Prompt {
  const prompt = new PromptDraft(0);
  for (const item of items) {
    if (typeof item === 'string') prompt.addText(item);
    else prompt.otherTokens += item.length;
  }
  return prompt;
}
