import type { Refusal } from '../../domain/errors.ts';
import { asObject, type JsonObject } from '../json.ts';
import { findMembers, spliceMembers } from '../json-splice.ts';
import { ambiguousMember, invalid, type ParsedBody } from '../request-body.ts';

/**
 * `stream_options.include_usage`, which asks for a last chunk that carries the usage of a stream. It is
 * set where the client didn't, because nothing else tells what the stream used.
 */

/** To be watched by whoever parses a body whose stream is to be asked for usage. */
export const streamOptions = 'stream_options';
const includeUsage = 'include_usage';
const watched: ReadonlySet<string> = new Set([includeUsage]);

/** Whether the client itself asks for usage in the stream. */
export function asksUsage(request: JsonObject): boolean {
  return request.stream === true && asObject(request[streamOptions])?.[includeUsage] === true;
}

/** The bytes of the options; null where they are absent, or null. */
function optionsIn(body: Buffer, { value, members }: ParsedBody): Buffer | null {
  const span = members.spans.get(streamOptions);
  if (span === undefined || asObject(value[streamOptions]) === null) return null;
  return body.subarray(span.start, span.end);
}

/** What is wrong inside of the options, if anything. That they are an object is checked before. */
export function wrongStreamOptions(body: Buffer, parsed: ParsedBody): Refusal | null {
  const options = optionsIn(body, parsed);
  if (options === null) return null;
  const asked = asObject(parsed.value[streamOptions])?.[includeUsage] ?? false;
  if (typeof asked !== 'boolean') {
    const name = `${streamOptions}.${includeUsage}`;
    return invalid(`"${name}" must be true or false.`, name);
  }
  const inner = findMembers(options, watched);
  return inner.kind === 'ambiguous' ? ambiguousMember(inner.name, inner.watchedName) : null;
}

/** The client's options, byte for byte but for asking for usage. They were found to be right before. */
export function optionsWithUsage(body: Buffer, parsed: ParsedBody): Buffer {
  const options = optionsIn(body, parsed) ?? Buffer.from('{}');
  const members = findMembers(options, watched);
  return members.kind === 'ambiguous'
    ? options
    : spliceMembers(options, members, new Map([[includeUsage, 'true']]));
}
