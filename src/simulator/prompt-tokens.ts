import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';

/** What the chat format adds around a message, around a name, and before the answer. */
const tokensPerMessage = 3;
const tokensPerName = 1;
const tokensBeforeAnswer = 3;
/** What OpenAI counts for an image at low detail, taken for every part that is not text. */
const tokensPerOtherPart = 85;

/** The tokenizer's time grows with the square of a run without a break, so none longer is given to it. */
const sliceLength = 4096;

/** Counts are kept for texts up to this length, in two generations of so many characters, and some for the entry. */
const cachedLength = 262_144;
const generationLength = 8_000_000;
const entryLength = 64;

/** A prompt as far as its tokens go. */
export interface Prompt {
  readonly texts: readonly string[];
  /** Tokens beside those of the texts. */
  readonly otherTokens: number;
}

/** A prompt that is being gathered. Every wire format counts its messages alike. */
export class PromptDraft implements Prompt {
  readonly texts: string[] = [];
  otherTokens: number;

  /** @param otherTokens what there is before the first message; what a chat has before its answer where none is given */
  constructor(otherTokens = tokensBeforeAnswer) {
    this.otherTokens = otherTokens;
  }

  addMessage(role: string): void {
    this.otherTokens += tokensPerMessage;
    this.texts.push(role);
  }

  addName(name: string): void {
    this.otherTokens += tokensPerName;
    this.texts.push(name);
  }

  addText(text: string): void {
    this.texts.push(text);
  }

  addJson(value: unknown): void {
    this.texts.push(JSON.stringify(value));
  }

  /** An image, a file, a sound. */
  addOther(): void {
    this.otherTokens += tokensPerOtherPart;
  }
}

/** Counts prompts and remembers their texts: a benchmark sends the same few for ever. */
export interface PromptCounter {
  /**
   * @param limit where counting may stop
   * @returns the prompt's tokens; a number above `limit` when there are more
   */
  count(prompt: Prompt, limit: number): number;
}

export function createPromptCounter(): PromptCounter {
  const countText = rememberCounts();
  return {
    count({ texts, otherTokens }, limit) {
      let tokens = otherTokens;
      for (const text of texts) {
        if (tokens > limit) break;
        tokens += countText(text, limit - tokens);
      }
      return tokens;
    },
  };
}

function rememberCounts(): (text: string, limit: number) => number {
  let young = new Map<string, number>();
  let old = new Map<string, number>();
  let youngLength = 0;
  return (text, limit) => {
    if (text.length > cachedLength) return countSlices(text, limit);
    const known = young.get(text) ?? old.get(text);
    if (known !== undefined) return known;
    youngLength += text.length + entryLength;
    if (youngLength > generationLength) {
      old = young;
      young = new Map();
      youngLength = 0;
    }
    const tokens = countSlices(text, Number.POSITIVE_INFINITY);
    young.set(text, tokens);
    return tokens;
  };
}

/** Counts a text in slices and stops beyond the limit, so that 10 MB of anything cannot hold the process up. */
function countSlices(text: string, limit: number): number {
  let tokens = 0;
  for (let start = 0; start < text.length && tokens <= limit; ) {
    const end = sliceEnd(text, start);
    // Without the option, a text that contains the likes of <|endoftext|> is an exception, not a count.
    tokens += countTokens(text.slice(start, end), { disallowedSpecial: new Set() });
    start = end;
  }
  return tokens;
}

/** A space behind anything, or the end of a line behind a letter or digit; marks do take the end of a line along. */
const boundary = /\S[^\S\r\n]|[\p{L}\p{N}][\r\n]/u;

/**
 * Where a slice may end. In the encoding no token holds both characters of a boundary, so a cut
 * there changes no count; only a run of thousands without one is cut anywhere.
 */
function sliceEnd(text: string, start: number): number {
  const furthest = start + sliceLength;
  if (furthest >= text.length) return text.length;
  for (let at = furthest; at > start; at--) {
    if (boundary.test(text.slice(at - 1, at + 1))) return at;
  }
  const cutsPair = (text.charCodeAt(furthest) & 0xfc00) === 0xdc00;
  return cutsPair ? furthest + 1 : furthest;
}
