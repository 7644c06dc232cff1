import { isUtf8 } from 'node:buffer';
import { type Refusal, refusal } from '../domain/errors.ts';
import { asArray, asObject, type JsonObject } from './json.ts';
import { findMembers, type ObjectMembers } from './json-splice.ts';

/** Longer than any model's name: it would be carried through logs and messages. */
const maxModelLength = 256;

/** A body as an object, and where its watched members stand. */
export interface ParsedBody {
  readonly kind: 'parsed';
  readonly value: JsonObject;
  readonly members: ObjectMembers;
}

/** REQUEST_INVALID with the member at fault, where it is one. */
export function invalid(message: string, param?: string): Refusal {
  return refusal('REQUEST_INVALID', message, param === undefined ? {} : { param });
}

/**
 * Reads a body as a JSON object.
 * @param watched members that decide what is served and what is charged: each at most once, and none that
 * looks like one, since another parser may read it differently
 * @param example what a body looks like, for the message
 */
export function parseBody(body: Buffer, watched: ReadonlySet<string>, example: string): ParsedBody | Refusal {
  if (!isUtf8(body)) return invalid('The body is not UTF-8 text. Send JSON encoded as UTF-8.');
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (error) {
    return invalid(`The body is not valid JSON: ${error instanceof Error ? error.message : 'unreadable'}.`);
  }
  const value = asObject(parsed);
  if (value === null) return invalid(`The body is not a JSON object. Send ${example}.`);
  const members = findMembers(body, watched);
  return members.kind === 'ambiguous'
    ? ambiguousMember(members.name, members.watchedName)
    : { kind: 'parsed', value, members };
}

export function ambiguousMember(name: string, watchedName: string): Refusal {
  const message =
    name === watchedName
      ? `"${name}" occurs twice. Send it once: which of them counts would depend on who reads it.`
      : `"${name}" looks like "${watchedName}" and may be read as that. Send "${watchedName}", or leave it out.`;
  return invalid(message, watchedName);
}

export function wrongModel(model: unknown): Refusal | null {
  if (typeof model === 'string' && model.trim() !== '' && model.length <= maxModelLength) return null;
  const message = `"model" is missing, not a text, or longer than ${maxModelLength} characters. Send the name of a model.`;
  return invalid(message, 'model');
}

/** What is wrong with a list of messages, if anything: it has at least one, and each is an object. */
export function wrongMessages(messages: unknown): Refusal | null {
  const list = asArray(messages);
  if (list === null || list.length === 0) {
    return invalid('"messages" is missing or empty. Send a list of at least one message.', 'messages');
  }
  const wrong = list.findIndex((message) => asObject(message) === null);
  if (wrong === -1) return null;
  const name = `messages[${wrong}]`;
  return invalid(`"${name}" is not an object. Send {"role": …, "content": …}.`, name);
}

/** What is wrong with a member, if anything. Absent and null members are never wrong here. */
export type Check = (value: unknown) => string | null;

export const isWholeNumber: Check = (value) =>
  Number.isSafeInteger(value) && Number(value) >= 1 ? null : 'must be a whole number of 1 or more';

export const isBoolean: Check = (value) => (typeof value === 'boolean' ? null : 'must be true or false');

export const isObject: Check = (value) => (asObject(value) === null ? 'must be an object' : null);

export const isText: Check = (value) => (typeof value === 'string' ? null : 'must be a text');

/** The first member that its check finds fault with. */
export function wrongMember(request: JsonObject, checks: Readonly<Record<string, Check>>): Refusal | null {
  for (const name in checks) {
    const check = checks[name];
    if (check === undefined) continue;
    const value = request[name];
    const fault = value === undefined || value === null ? null : check(value);
    if (fault !== null) return invalid(`"${name}" ${fault}.`, name);
  }
  return null;
}

export function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
