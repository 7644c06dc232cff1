import { asArray, asObject, asText, type JsonObject } from '../json.ts';

/**
 * Members that are known, and that may hold what goes past the hold: another model to serve the request, or
 * another maximum. Vercel takes fallback models in `providerOptions`, OpenRouter has plugins that choose
 * among models, Groq's systems can be told which models to use.
 */
const searchedMembers: readonly string[] = ['providerOptions', 'provider', 'plugins', 'compound_custom'];

/** `models`, `allowed_models`, `fallbackModels`; `max_tokens`, `maxCompletionTokens`; never `allow_fallbacks`. */
const evadingName = /^models?$|_models?$|[a-z]Models?$|^fallbacks$|^n$|^max_?(completion|output)?_?tokens$/i;

/** The arguments of a client's own tool may have any names. */
const clientTools: ReadonlySet<string> = new Set(['function', 'custom']);

/** Settings have a few dozen values. What has more isn't searched for as long as the rest of the service waits. */
const mostValues = 10_000;

/** The path of such a member inside a value, or of the value where it has too many to search; null where none is. */
function evadingPath(root: unknown, rootPath: string): string | null {
  if (typeof root !== 'object' || root === null) return null;
  const left: { readonly value: unknown; readonly path: string }[] = [{ value: root, path: rootPath }];
  let seen = 0;
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, path } = next;
    const list = asArray(value);
    const names = Object.keys(asObject(value) ?? {});
    seen += list?.length ?? names.length;
    if (seen > mostValues) return rootPath;
    for (const [index, inner] of list?.entries() ?? []) left.push({ value: inner, path: `${path}.${index}` });
    for (const name of names) {
      const inner = asObject(value)?.[name];
      const innerPath = `${path}.${name}`;
      if (inner !== null && evadingName.test(name)) return innerPath;
      left.push({ value: inner, path: innerPath });
    }
  }
  return null;
}

/** The path of a member inside the known ones that names other models or another maximum; null where none does. */
export function evadingMemberOf(request: JsonObject): string | null {
  for (const name of searchedMembers) {
    const path = evadingPath(request[name], name);
    if (path !== null) return path;
  }
  for (const [index, tool] of (asArray(request.tools) ?? []).entries()) {
    const type = asText(asObject(tool)?.type);
    const path = type === null || clientTools.has(type) ? null : evadingPath(tool, `tools.${index}`);
    if (path !== null) return path;
  }
  return null;
}
