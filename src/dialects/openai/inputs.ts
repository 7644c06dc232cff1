import type { Refusal } from '../../domain/errors.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray } from '../json.ts';
import { invalid } from '../request-body.ts';

/**
 * What the older formats take as input: a text, or the ids of its tokens where the client has split it
 * itself. Of those only the number matters, and it is exact.
 */
export type TextInput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'ids'; readonly count: number };

function isTokenId(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Null where it is neither; an empty list isn't token ids. */
export function textInput(entry: unknown): TextInput | null {
  if (typeof entry === 'string') return { kind: 'text', text: entry };
  const ids = asArray(entry) ?? [];
  return ids.length > 0 && ids.every(isTokenId) ? { kind: 'ids', count: ids.length } : null;
}

export interface Inputs<Input> {
  readonly kind: 'inputs';
  readonly list: readonly Input[];
}

/**
 * One input, or a list of them.
 * @param name the member's, for the refusal
 * @param read null where an entry is no input
 */
export function readInputs<Input>(
  value: unknown,
  name: string,
  read: (entry: unknown) => Input | null,
): Inputs<Input> | Refusal {
  const example = 'Send a text, a list of texts, a list of token ids, or a list of such lists.';
  const single = read(value);
  if (single !== null) return { kind: 'inputs', list: [single] };
  const entries = asArray(value) ?? [];
  if (entries.length === 0) return invalid(`"${name}" is missing or empty. ${example}`, name);
  const list: Input[] = [];
  for (const [index, entry] of entries.entries()) {
    const one = read(entry);
    if (one === null) {
      return invalid(`"${name}[${index}]" is neither a text nor token ids. ${example}`, `${name}[${index}]`);
    }
    list.push(one);
  }
  return { kind: 'inputs', list };
}

/** As OpenAI counts them: nothing around the texts, and each token id as one. */
export function countableInputs(inputs: readonly TextInput[]): Countable {
  const texts: string[] = [];
  let overhead = 0;
  for (const input of inputs) {
    if (input.kind === 'text') texts.push(input.text);
    else overhead += input.count;
  }
  return { texts, overhead };
}
