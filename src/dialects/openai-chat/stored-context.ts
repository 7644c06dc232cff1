import { asObject, asText, type JsonObject } from '../json.ts';

/** xAI's earlier answer and Gemini's cached content, as they and those who pass them on spell them. */
function idsIn(members: JsonObject | null): string[] {
  const { previous_response_id, previousResponseId, cached_content, cachedContent } = members ?? {};
  return [previous_response_id, previousResponseId, cached_content, cachedContent].flatMap(
    (id) => asText(id) ?? [],
  );
}

/**
 * What the provider remembers and adds to the prompt, by its id; null where nothing. Which of several the
 * provider takes isn't known: together they are an id that nobody has, which is held for at the longest
 * prompt, so that a short context that is known can't stand in for a long one.
 */
export function continuedId(request: JsonObject): string | null {
  const extra = asObject(request.extra_body);
  const places = [
    request,
    asObject(request.google),
    extra,
    asObject(extra?.google),
    ...Object.values(asObject(request.providerOptions) ?? {}).map(asObject),
  ];
  const ids = new Set(places.flatMap(idsIn));
  return ids.size === 0 ? null : [...ids].join(' ');
}
