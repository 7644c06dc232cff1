import type { Countable } from '../../tokenizer/tokenizer.ts';

/** A function as the model called it; its arguments may be cut off anywhere. */
export interface CalledFunction {
  readonly name: string;
  readonly args: string;
}

/** Measured on OpenAI's answers and histories: around one call, and around several made at once, brackets included. */
const tokensOfOneCall = 7;
const tokensOfSeveralCalls = 11;
/** A call that the request forced is in the prompt already, but for its arguments and an end. */
const tokensOfForcedCall = 1;

/** What is known of why a call was made: a call that the request forced, one that the model chose, or nothing yet. */
export type CallReason = 'forced' | 'chosen' | 'unknown';

/**
 * Calls as the model wrote them. Several at once are one call of `multi_tool_use.parallel`, whose
 * arguments hold them all; OpenAI's API takes them apart and spaces their arguments out.
 *
 * While an answer runs, this only grows with it: the brackets behind the last call are left out of the
 * text, and a call is taken for the smaller of what it may be until it is known which.
 */
export function callsCountable(calls: readonly CalledFunction[], reason: CallReason): Countable {
  const [first, ...others] = calls;
  if (first === undefined) return { texts: [], overhead: 0 };
  if (others.length === 0) {
    if (reason === 'chosen') {
      return { texts: [first.name, compact(first.args)], overhead: tokensOfOneCall };
    }
    const args = reason === 'forced' ? first.args : compact(first.args);
    return { texts: [args], overhead: tokensOfForcedCall };
  }
  const uses = calls.map(
    ({ name, args }) => `{"recipient_name":"functions.${name}","parameters":${compact(args)}`,
  );
  return { texts: [`{"tool_uses":[${uses.join('},')}`], overhead: tokensOfSeveralCalls };
}

/**
 * JSON without the blanks between its parts, wherever it is cut off. Not by reading and writing it again:
 * that would show an answer's text shorter once it is complete than it was before.
 */
function compact(json: string): string {
  const pieces: string[] = [];
  let start = 0;
  let isInString = false;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === '"') isInString = !isInString;
    else if (isInString && character === '\\') at++;
    else if (!isInString && isBlank(character)) {
      if (at > start) pieces.push(json.slice(start, at));
      start = at + 1;
    }
  }
  return start === 0 ? json : pieces.join('') + json.slice(start);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\r' || character === '\t';
}
