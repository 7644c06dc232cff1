import type { z } from 'zod';
import type { ApiError, Parsed } from '../errors.ts';
import { innermostIssue } from '../innermost-issue.ts';
import { parseJsonObject, valueAt } from '../json-body.ts';
import { invalidRequest } from './wording.ts';

export interface RequestShape<Schema extends z.ZodType> {
  /** Every argument that OpenAI documents for it; any other is refused by its name. */
  readonly knownArguments: ReadonlySet<string>;
  readonly schema: Schema;
  /** What each argument alone permits, but not together. */
  findContradiction?(request: z.output<Schema>): ApiError | null;
}

/** Understands a body as OpenAI does, or refuses it in OpenAI's words. */
export function parseRequest<Schema extends z.ZodType>(
  body: Buffer,
  shape: RequestShape<Schema>,
): Parsed<z.output<Schema>> {
  const given = parseJsonObject(body);
  if (given === undefined) {
    return refused(
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your " +
        'HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)',
    );
  }
  if (typeof given.model !== 'string' || given.model === '') {
    return refused('you must provide a model parameter');
  }
  const unknown = Object.keys(given).filter((name) => !shape.knownArguments.has(name));
  if (unknown.length > 0) {
    return refused(
      `Unrecognized request argument${unknown.length > 1 ? 's' : ''} supplied: ${unknown.join(', ')}`,
    );
  }
  const parsed = shape.schema.safeParse(given);
  if (!parsed.success) return { ok: false, error: describe(parsed.error, given) };
  const contradiction = shape.findContradiction?.(parsed.data) ?? null;
  return contradiction === null ? { ok: true, value: parsed.data } : { ok: false, error: contradiction };
}

function refused(message: string): Parsed<never> {
  return { ok: false, error: invalidRequest(message) };
}

export function isGiven<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}

/** `stream_options` is refused where nothing is streamed, in every format that has it. */
export function strayStreamOptions(request: {
  readonly stream?: boolean | null | undefined;
  readonly stream_options?: unknown;
}): ApiError | null {
  if (!isGiven(request.stream_options) || request.stream === true) return null;
  return invalidRequest(
    "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    'stream_options',
  );
}

/** zod's first finding in OpenAI's words, with the path as OpenAI writes it: `messages[0].role`. */
function describe(error: z.ZodError, body: unknown): ApiError {
  const issue = innermostIssue(error);
  if (issue === undefined) return invalidRequest('Invalid request.');
  const param = issue.path.reduce<string>(
    (path, step) => (typeof step === 'number' ? `${path}[${step}]` : `${path}${path && '.'}${String(step)}`),
    '',
  );
  const value = valueAt(body, issue.path);
  if (value === undefined) {
    return invalidRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
  }
  switch (issue.code) {
    case 'invalid_value': {
      const supported = issue.values.map((supportedValue) => `'${String(supportedValue)}'`).join(', ');
      return invalidRequest(
        `Invalid value: '${String(value)}'. Supported values are: ${supported}.`,
        param,
        'invalid_value',
      );
    }
    case 'too_small':
    case 'too_big':
      return outOfRange(issue, param, value);
    default: {
      const expected = expectedTypes(issue);
      const phrase = expected === '' ? '' : `expected ${expected}, but `;
      return invalidRequest(
        `Invalid type for '${param}': ${phrase}got ${withArticle(typeName(value))} instead.`,
        param,
        'invalid_type',
      );
    }
  }
}

function expectedTypes(issue: z.core.$ZodIssue): string {
  const issues = issue.code === 'invalid_union' ? issue.errors.flatMap(([first]) => first ?? []) : [issue];
  const types = issues.flatMap((found) => ('expected' in found ? [withArticle(String(found.expected))] : []));
  return types.length > 1 ? `one of ${types.join(' or ')}` : (types[0] ?? '');
}

function outOfRange(
  issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig,
  param: string,
  value: unknown,
): ApiError {
  if (Array.isArray(value)) {
    return invalidRequest(
      `Invalid '${param}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
      param,
      'empty_array',
    );
  }
  const number = Number.isInteger(value) ? 'integer' : 'decimal';
  const [side, sign, bound] =
    issue.code === 'too_small'
      ? ['below minimum', '>=', issue.minimum]
      : ['above maximum', '<=', issue.maximum];
  return invalidRequest(
    `Invalid '${param}': ${number} ${side} value. Expected a value ${sign} ${bound}, but got ${String(value)} instead.`,
    param,
    `${number}_${side.replace(' ', '_')}_value`,
  );
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function withArticle(noun: string): string {
  if (noun === 'null') return noun;
  return `${/^[aeio]/.test(noun) ? 'an' : 'a'} ${noun}`;
}
