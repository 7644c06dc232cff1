/**
 * What characters come to in tokens, without a vocabulary.
 *
 * The prices below were fitted against the wider of cl100k_base and o200k_base on the Universal
 * Declaration of Human Rights in 500 languages, source code, and noise. Scripts that cl100k_base
 * splits into bytes and o200k_base does not (Georgian, Hindi) are therefore estimated at several
 * times what a current model counts: a model's name says too little about the vocabulary behind it.
 */

/** Kinds of characters; from `asciiKinds` up, a kind is a script with one price a character. */
const space = 0;
const otherWhitespace = 1;
const lower = 2;
const upper = 3;
const accented = 4;
const digit = 5;
const punctuation = 6;
const asciiKinds = 7;

interface Script {
  readonly from: number;
  readonly to: number;
  /** Tokens a UTF-16 code unit. */
  readonly price: number;
}

/** No byte-level vocabulary needs more than a token a byte, and no code unit of UTF-16 more than three bytes. */
const mostPerCodeUnit = 3;

/** Blocks that aren't listed cost `mostPerCodeUnit`. Later lines win. */
const scripts: readonly Script[] = [
  { from: 0x0080, to: 0x00bf, price: 1.6 }, // Latin-1 signs
  { from: 0x0250, to: 0x036f, price: 2 }, // phonetic letters, combining marks
  { from: 0x0370, to: 0x03ff, price: 1.1 }, // Greek
  { from: 0x0400, to: 0x045f, price: 0.75 }, // Cyrillic as Russian writes it
  { from: 0x0460, to: 0x052f, price: 2.2 }, // other Cyrillic
  { from: 0x0530, to: 0x058f, price: 2.2 }, // Armenian
  { from: 0x0590, to: 0x05ff, price: 1.35 }, // Hebrew
  { from: 0x0600, to: 0x0670, price: 1 }, // Arabic
  { from: 0x0671, to: 0x06ff, price: 1.6 }, // letters that Persian, Urdu and Uyghur add
  { from: 0x0700, to: 0x08ff, price: 2 }, // Syriac, Thaana, N'Ko: two bytes a letter, some three
  { from: 0x0900, to: 0x097f, price: 1.4 }, // Devanagari
  { from: 0x0980, to: 0x0dff, price: 2.2 }, // other scripts of India, Sinhala
  { from: 0x0e00, to: 0x0e7f, price: 1.15 }, // Thai
  { from: 0x0e80, to: 0x109f, price: 2.2 }, // Lao, Tibetan, Burmese
  { from: 0x10a0, to: 0x10ff, price: 2.2 }, // Georgian
  { from: 0x1780, to: 0x17ff, price: 1.9 }, // Khmer
  { from: 0x2000, to: 0x206f, price: 1.2 }, // typographic quotes, dashes, the ellipsis
  { from: 0x2100, to: 0x2bff, price: 2.3 }, // mathematics, arrows, boxes
  { from: 0x3000, to: 0x30ff, price: 1.2 }, // CJK punctuation, kana
  { from: 0x4e00, to: 0x9fff, price: 1.7 }, // Chinese characters
  { from: 0xac00, to: 0xd7af, price: 1.5 }, // Hangul
  { from: 0xd800, to: 0xdfff, price: 2 }, // half of a pair, of at most four bytes together: emoji
  { from: 0xff00, to: 0xffef, price: 2 }, // full-width forms
];

const priceOfKind = new Float64Array(asciiKinds + 1 + scripts.length);
const kindOfCode = new Uint8Array(0x10000);

function fillKinds(): void {
  priceOfKind[asciiKinds] = mostPerCodeUnit;
  kindOfCode.fill(asciiKinds);
  scripts.forEach(({ from, to, price }, index) => {
    priceOfKind[asciiKinds + 1 + index] = price;
    kindOfCode.fill(asciiKinds + 1 + index, from, to + 1);
  });
  kindOfCode.fill(punctuation, 0, 0x80);
  kindOfCode.fill(otherWhitespace, 0x09, 0x0e);
  kindOfCode[0x20] = space;
  kindOfCode.fill(digit, 0x30, 0x3a);
  kindOfCode.fill(upper, 0x41, 0x5b);
  kindOfCode.fill(lower, 0x61, 0x7b);
  kindOfCode.fill(accented, 0xc0, 0x250);
  kindOfCode.fill(accented, 0x1e00, 0x1f00);
}
fillKinds();

/** Tokens of a word by its number of letters, where English words stand around it. */
const englishWord = [0, 1, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.9, 2.1];
/** The same for any other language in Latin letters: Swahili, Zulu, Finnish and Welsh set it. */
const foreignWord = [0, 1, 1.1, 1.8, 2.1, 2.4, 2.8, 3.2, 3.7, 4.2, 4.7, 5.1, 5.6];
/** Each letter beyond the tables. Words this long are compounds at best, and random letters at worst. */
const furtherLetter = 0.55;
const longestListedWord = 12;

/** Beside the letter's place in its word: it splits the word for most vocabularies. */
const accentedLetter = 1;
const capitalAfterCapital = 0.55;
/** OpenAI counts up to three digits as one token, Gemini, Qwen and Mistral each by itself. */
const eachDigit = 1;
const repeatedSign = 0.1;
const furtherSign = 0.75;

const commonEnglishWords = [
  'the',
  'and',
  'of',
  'to',
  'for',
  'are',
  'was',
  'that',
  'this',
  'with',
  'from',
  'you',
  'is',
  'it',
  'have',
  'or',
  'be',
  'not',
  'as',
  'by',
];
const hashFactor = 31;
const commonEnglishHashes = new Set(
  commonEnglishWords.map((word) =>
    [...word].reduce((hash, letter) => hash * hashFactor + letter.charCodeAt(0), 0),
  ),
);
const longestCommonWord = 4;

/** Shares of common English words among all words: up to the first a segment isn't English, from the second it is. */
const foreignShare = 0.06;
const englishShare = 0.16;
/** Short enough to see where the language changes, long enough for a share to mean something. */
const wordsPerSegment = 64;

/** Prices what it reads, character by character. */
export class TextScan {
  #tokens = 0;
  #words = 0;
  #commonWords = 0;
  #english = 0;
  #foreign = 0;

  /** The tokens of all that was read. */
  end(): number {
    this.#endSegment();
    return this.#tokens;
  }

  read(text: string, from: number, to: number): void {
    let previous = otherWhitespace;
    let previousCode = 0;
    let index = from;
    while (index < to) {
      const code = text.charCodeAt(index);
      const kind = kindOfCode[code] as number;
      if (kind === lower || kind === upper || kind === accented) {
        index = this.#scanLetters(text, index, to);
      } else {
        this.#tokens +=
          kind >= asciiKinds ? (priceOfKind[kind] as number) : signPrice(kind, code, previous, previousCode);
        index++;
      }
      previous = kind;
      previousCode = code;
    }
  }

  /** Letters up to the next character that is none; a capital after a small letter starts another word. */
  #scanLetters(text: string, from: number, to: number): number {
    let letters = 0;
    let hash = 0;
    let previous = upper;
    let index = from;
    for (; index < to; index++) {
      const code = text.charCodeAt(index);
      const kind = kindOfCode[code] as number;
      if (kind !== lower && kind !== upper && kind !== accented) break;
      if (kind === upper && previous !== upper) {
        this.#endWord(letters, hash);
        letters = 0;
        hash = 0;
      } else if (kind === upper && letters > 0) this.#tokens += capitalAfterCapital;
      else if (kind === accented) this.#tokens += accentedLetter;
      letters++;
      if (letters <= longestCommonWord) hash = hash * hashFactor + (code | 0x20);
      previous = kind;
    }
    this.#endWord(letters, hash);
    return index;
  }

  #endWord(letters: number, hash: number): void {
    const further = Math.max(0, letters - longestListedWord) * furtherLetter;
    const listed = Math.min(letters, longestListedWord);
    this.#english += (englishWord[listed] as number) + further;
    this.#foreign += (foreignWord[listed] as number) + further;
    if (letters <= longestCommonWord && commonEnglishHashes.has(hash)) this.#commonWords++;
    if (++this.#words === wordsPerSegment) this.#endSegment();
  }

  #endSegment(): void {
    if (this.#words === 0) return;
    const share = this.#commonWords / this.#words;
    const english = Math.min(1, Math.max(0, (share - foreignShare) / (englishShare - foreignShare)));
    this.#tokens += english * this.#english + (1 - english) * this.#foreign;
    this.#words = 0;
    this.#commonWords = 0;
    this.#english = 0;
    this.#foreign = 0;
  }
}

function signPrice(kind: number, code: number, previous: number, previousCode: number): number {
  if (kind === digit) return eachDigit;
  const repeated = code === previousCode;
  if (kind === space) return repeated ? repeatedSign : previous === otherWhitespace ? furtherSign : 0;
  if (repeated) return repeatedSign;
  return previous === kind || (previous === space && kind === otherWhitespace) ? furtherSign : 1;
}
