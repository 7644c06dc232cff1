import { asArray, asObject, type JsonObject } from '../json.ts';

/**
 * Reasoning, and compacted turns, that the client carries and can't read. What its tokens are is known only
 * by comparing recorded lengths with recorded counts: OpenAI has some 7 characters a token behind the first
 * 700, xAI at least 5.1; a compaction has more than 4.
 */
const envelopeCharacters = 700;
const charactersPerToken = 7;
const leastCharactersPerToken = { reasoning: 5, compaction: 4 };

function encryptedLength({ encrypted_content: encrypted }: JsonObject): number {
  return typeof encrypted === 'string' ? encrypted.length : 0;
}

/** At most how many tokens an item stands for beside those that can be read. */
export function mostEncryptedTokens(item: JsonObject): number {
  const { reasoning, compaction } = leastCharactersPerToken;
  return encryptedLength(item) / (item.type === 'compaction' ? compaction : reasoning);
}

/** About how many tokens the items of an input stand for. */
export function encryptedTokens(input: unknown): number {
  let tokens = 0;
  for (const entry of asArray(input) ?? []) {
    const length = encryptedLength(asObject(entry) ?? {});
    tokens += Math.max(0, length - envelopeCharacters) / charactersPerToken;
  }
  return Math.round(tokens);
}
