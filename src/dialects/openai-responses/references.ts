import { asArray, asObject, asText, type JsonObject } from '../json.ts';

/**
 * What stands in a prompt by a name only, so that its length is the provider's to know: an answer's message
 * or a tool's result, each taken for the longest that is usual, and all of them for the longest context.
 */
const tokensPerReference = 16_000;
const mostReferenced = 128_000;

/** A stored prompt that comes on top of an answer or a conversation that is gone on from. */
const tokensOfStoredPrompt = 16_000;

/** `type` may be left out: an item with nothing but an id can be nothing else. */
function isReference(item: JsonObject): boolean {
  const { type, id } = item;
  if (type === 'item_reference') return true;
  const isUntyped = type === undefined || type === null;
  return (
    isUntyped &&
    asText(id) !== null &&
    Object.entries(item).every(([name, value]) => value === null || name === 'id')
  );
}

/** At most how many tokens the references of an input stand for. */
export function referencedTokens(input: unknown): number {
  const references = (asArray(input) ?? []).filter((item) => isReference(asObject(item) ?? {}));
  return Math.min(mostReferenced, references.length * tokensPerReference);
}

/** Names of what the provider remembers and puts before the input, the longest of them first. */
function continuedIds({
  previous_response_id: previous,
  conversation,
  prompt,
}: JsonObject): readonly string[] {
  const ids = [
    asText(previous) ?? asText(conversation) ?? asText(asObject(conversation)?.id),
    asText(asObject(prompt)?.id),
  ];
  return ids.filter((id) => id !== null);
}

/** The name of what the provider remembers and puts before the input; null where that is nothing. */
export function continuedId(request: JsonObject): string | null {
  return continuedIds(request)[0] ?? null;
}

/** What comes into the prompt beside what is gone on from: that is held for by its name. */
export function promptTokensBeside(request: JsonObject): number {
  return continuedIds(request).length > 1 ? tokensOfStoredPrompt : 0;
}
