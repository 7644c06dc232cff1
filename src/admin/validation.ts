import { z } from 'zod';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { NanoUsd } from '../domain/money.ts';
import { MoneyFormatError, parseAmount } from '../domain/money.ts';
import { isTimeZone } from '../domain/quota.ts';

/** A part of a request that is what its schema says. */
export interface Valid<T> {
  readonly kind: 'valid';
  readonly value: T;
}

export type RequestPart = 'path' | 'query' | 'body' | 'header';

/** Reads a part of a request; what is wrong with it is said in plain words, with the member's name. */
export function readPart<T>(part: RequestPart, schema: z.ZodType<T>, input: unknown): Valid<T> | Refusal {
  const result = schema.safeParse(input);
  if (result.success) return { kind: 'valid', value: result.data };
  const [issue] = result.error.issues;
  if (issue === undefined) return refusal('REQUEST_INVALID', `The ${part} is not valid.`);
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path;
  const param = part === 'header' ? 'Idempotency-Key' : memberName(path);
  if (param === '') return refusal('REQUEST_INVALID', `The ${part} ${issue.message}.`);
  return refusal('REQUEST_INVALID', `\`${param}\` ${issue.message}.`, { param });
}

function memberName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, step) => {
    if (typeof step === 'number') return `${name}[${step}]`;
    return name === '' ? String(step) : `${name}.${String(step)}`;
  }, '');
}

interface Issue {
  readonly code?: string | undefined;
  readonly input?: unknown;
}

/** Says what a member must be, whatever is wrong with it. */
export function must(be: string): { error: (issue: Issue) => string } {
  return { error: ({ input }) => (input === undefined ? `is required: send ${be}` : `must be ${be}`) };
}

/** An object of exactly these members. */
export function members<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: ({ code }) => {
      if (code === 'unrecognized_keys')
        return names === '' ? "isn't taken here" : `isn't known here; the members are ${names}`;
      return `must be a JSON object with the members ${names}`;
    },
  });
}

/** PostgreSQL's text holds no NUL, and a lone surrogate would come back as another character. */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** Text for people, of 1 to `maxLength` characters. */
export function text(maxLength: number) {
  const be = must(`a string of 1 to ${maxLength} characters`);
  return z.string(be).refine((it) => it !== '' && it.length <= maxLength && isStorable(it), be);
}

/** Text of a pattern. */
export function matching(pattern: RegExp, be: string) {
  return z.string(must(be)).regex(pattern, must(be));
}

const idShape = 'an id: letters, digits, ".", "_" and "-", at most 128, with a letter or digit first';

export const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export const id = matching(idPattern, idShape);

/** Public names of models: as ids, and with what providers have in theirs, such as "openai/gpt-4o" or "@cf/x:y". */
export const modelName = matching(
  /^[A-Za-z0-9@][A-Za-z0-9@._:/~+-]{0,255}$/,
  'a model name: letters, digits and any of ". _ : / @ ~ + -", at most 256, with a letter, digit or "@" first',
);

export const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const transactionId = matching(uuidPattern, 'the id of a transaction, a UUID');

const traceIdShape = '1 to 255 printable ASCII characters';
const traceIdPattern = /^[\x20-\x7e]{1,255}$/;

/** Trace ids of ours and clients' idempotency keys. */
export const traceId = matching(traceIdPattern, traceIdShape);

export const idempotencyKey = z
  .string()
  .nullable()
  .refine((it) => it === null || traceIdPattern.test(it), must(traceIdShape));

/** Reads decimal text; a JSON number is refused, since a parser may have lost digits of it already. */
export function decimal<T>(read: (text: string) => T, example: string) {
  const be = `a decimal string, for instance "${example}"`;
  const error = ({ input }: Issue) => {
    if (typeof input === 'number')
      return `must be a decimal string such as "${example}": a JSON number can lose digits, so put it in quotes`;
    return input === undefined ? `is required: send ${be}` : `must be ${be}`;
  };
  return z.string({ error }).transform((it, context) => {
    try {
      return read(it);
    } catch (cause) {
      if (!(cause instanceof MoneyFormatError)) throw cause;
      context.issues.push({ code: 'custom', input: it, message: `must be ${be}: ${cause.message}` });
      return z.NEVER;
    }
  });
}

export const amount = decimal(parseAmount, '99.95');

export const amountFromZero = amount.refine((it: NanoUsd) => it >= 0n, {
  error: 'must be zero or more, for instance "99.95"',
});

const countShape = 'a whole number, zero or more, or null for no limit';

/** A limit of requests or tokens. Zero permits none; null is unlimited. */
export const limit = z
  .number(must(countShape))
  .refine((it) => Number.isSafeInteger(it) && it >= 0, must(countShape))
  .nullable();

/** A whole number between two bounds. */
export function integer(min: number, max: number) {
  const be = must(`a whole number from ${min} to ${max}`);
  return z.number(be).refine((it) => Number.isInteger(it) && it >= min && it <= max, be);
}

export const currency = matching(/^[A-Z]{3}$/, 'three capital letters (ISO 4217), for instance "USD"');

const timeZoneShape = 'the name of a time zone (IANA), for instance "Europe/Berlin"';

/** Only names: an offset such as "+02:00" has one sign here and the other in SQL. */
export const timeZone = matching(/^[A-Za-z]/, timeZoneShape).refine(isTimeZone, must(timeZoneShape));

const momentShape = 'a moment in ISO 8601, for instance "2026-11-23T10:00:00Z"';

/** A moment as text, read as milliseconds since the epoch. */
export const moment = z
  .string(must(momentShape))
  .refine((it) => z.iso.datetime({ offset: true }).safeParse(it).success, must(momentShape))
  .transform((it) => Date.parse(it));

const dayOrMomentShape = `${momentShape}, or a day such as "2026-11-23", which begins at 00:00 UTC; write "+" as "%2B"`;

/** A moment or a day in a query. */
export const dayOrMoment = z
  .string(must(dayOrMomentShape))
  .refine(
    (it) => z.union([z.iso.datetime({ offset: true }), z.iso.date()]).safeParse(it).success,
    must(dayOrMomentShape),
  )
  .transform((it) => Date.parse(it));

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, must(`one of ${words.join(', ')}`));
}

export const flag = z.boolean(must('true or false'));
