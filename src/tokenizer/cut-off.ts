import { certainText } from '../domain/certain-text.ts';
import type { Countable } from './tokenizer.ts';

/**
 * What of a text that was broken off is certain to be counted however it would have gone on. The last piece
 * may be more tokens now than when it would have been complete ("unbeliev" is three, "unbelievable" two), so it
 * counts as one: a longer text is then never fewer tokens than a shorter one, and never more than the whole.
 * What the wire format adds is left out, since some of it may have been generated only at the end.
 */
export function certainPart({ texts }: Countable): Countable {
  let begun = 0;
  const certain = texts.map((text) => {
    if (text === '') return text;
    begun++;
    return certainText(text);
  });
  return { texts: certain, overhead: begun };
}
