import type { Refusal } from '../../domain/errors.ts';
import type { JsonObject } from '../json.ts';
import { findMembers, type ObjectMembers } from '../json-splice.ts';
import { ambiguousMember } from '../request-body.ts';

/** Google's parser takes each member under two names: `maxOutputTokens`, and `max_output_tokens` as in its proto files. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The value of a member under either of its names. */
export function member(object: JsonObject | null, name: string): unknown {
  return object?.[name] ?? object?.[snakeCase(name)];
}

/** Both names of each member. */
export function spellingsOf(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.flatMap((name) => [name, snakeCase(name)]));
}

/** The name under which an object has the member; the usual one where it has none. */
export function spellingIn(object: JsonObject, name: string): string {
  return Object.hasOwn(object, snakeCase(name)) ? snakeCase(name) : name;
}

/** Through upper case, so that the long s and the Kelvin sign fold as Go's decoder folds them. */
function folded(name: string): string {
  return name.toUpperCase().toLowerCase().replaceAll('_', '');
}

/**
 * What keeps members from having one meaning: both names of one at once, or a name that only looks like one
 * of them, since another parser may read it differently.
 */
export function ambiguityIn(object: JsonObject, names: readonly string[]): Refusal | null {
  const byFolded = new Map(names.map((name) => [folded(name), name]));
  const seen = new Set<string>();
  for (const spelling of Object.keys(object)) {
    const name = byFolded.get(folded(spelling));
    if (name === undefined) continue;
    const isExact = spelling === name || spelling === snakeCase(name);
    if (!isExact || seen.has(name)) return ambiguousMember(spelling, name);
    seen.add(name);
  }
  return null;
}

/** Where members stand in the bytes of their object; a refusal where one of them has more than one meaning. */
export function locate(bytes: Buffer, object: JsonObject, names: readonly string[]): ObjectMembers | Refusal {
  const members = findMembers(bytes, spellingsOf(names));
  if (members.kind === 'ambiguous') return ambiguousMember(members.name, members.watchedName);
  return ambiguityIn(object, names) ?? members;
}
