import { z } from 'zod';

/**
 * The grammar of what a request may ask of the simulator. Each directive is given as a header,
 * `x-sim-<name>: <value>` with dashes for underscores, or behind the model's name:
 *
 *     model      = name [ "?" directive *( "&" directive ) ]
 *     directive  = name "=" value          ; percent-encoded as in a URL's query
 *
 * The model's name alone can carry everything, because gateways drop headers that they don't know.
 * A header overrides the model's name.
 */

/** At most one of these: how the answer is refused, broken off or held back. */
export const endings = [
  'refuse_400',
  'refuse_401',
  'refuse_429',
  'refuse_500',
  'refuse_503',
  'refuse_529',
  'no_connection',
  'stall_headers',
  'error_in_200',
  'cut',
  'error_event',
  'stall',
] as const;
/** At most one of these: what becomes of the usage. */
export const usageFaults = ['no_usage', 'null_usage', 'zero_usage', 'usage_every_chunk'] as const;
/** Any of these: how the bytes are laid out. */
export const layoutFaults = ['junk_bytes', 'big_events', 'no_done', 'crlf', 'split_bytes'] as const;

export type Ending = (typeof endings)[number];
export type UsageFault = (typeof usageFaults)[number];
export type LayoutFault = (typeof layoutFaults)[number];

export interface Faults {
  readonly ending: Ending | null;
  readonly usage: UsageFault | null;
  readonly layout: ReadonlySet<LayoutFault>;
}

const noFaults: Faults = { ending: null, usage: null, layout: new Set() };

const count = (max: number, min = 0) => {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, expected)
    .transform(Number)
    .refine((value) => value >= min && value <= max, expected);
};

const oneOf = <const Names extends readonly string[]>(...names: Names) =>
  z.enum(names, { error: `expected one of ${names.join(', ')}` });

const flag = oneOf('true', '1', 'false', '0').transform((value) => value === 'true' || value === '1');

const faultNames = [...endings, ...usageFaults, ...layoutFaults] as const;
const faultsExpected =
  `expected a list, with commas, of any of ${layoutFaults.join(', ')}, at most one of ` +
  `${usageFaults.join(', ')}, and at most one of ${endings.join(', ')}`;

const faults = z
  .string()
  .transform((value) => value.split(','))
  .pipe(z.array(z.enum(faultNames, { error: faultsExpected })))
  .transform(sortFaults)
  .refine((sorted) => sorted !== null, faultsExpected)
  .transform((sorted) => sorted ?? noFaults);

const grammar = {
  /** Tokens of an answer's text; words of each string in JSON. Drawn from 40 to 120 when not given. */
  tokens: count(1_000_000).optional(),
  /** Milliseconds before the first byte. */
  ttfb_ms: count(600_000).default(50),
  /** Speed after the first byte; 0 is as quick as the connection takes it. */
  tokens_per_second: count(1_000_000).default(100),
  /** How many tokens a streamed event carries. */
  tokens_per_event: count(100_000, 1).default(1),
  fault: faults.default(noFaults),
  /** Events sent before `cut`, `error_event` or `stall`. */
  after: count(10_000_000).default(3),
  /** Events of `junk_bytes`. */
  junk_events: count(10_000).default(3),
  /** Of `refuse_429`, `refuse_503` and `refuse_529`. */
  retry_after_seconds: count(86_400).default(1),
  /** Tokens of reasoning before the answer; part of completion_tokens as at OpenAI. */
  reasoning: count(1_000_000).optional(),
  /** The member that carries reasoning; `hidden` reports the tokens and sends no text, as OpenAI does. */
  reasoning_field: oneOf('reasoning_content', 'reasoning', 'hidden').default('reasoning_content'),
  /** Prompt tokens to report as read from cache. */
  cached_tokens: count(10_000_000).default(0),
  /** Prompt tokens to report as written to a cache, for five minutes and for an hour; only Anthropic's format tells them. */
  cache_write_tokens: count(10_000_000).default(0),
  cache_write_1h_tokens: count(10_000_000).default(0),
  /** The answer is as long as it is, whatever maximum the request sets. */
  ignore_maximum: flag.default(false),
  /** The model declines, in the message's `refusal`. */
  refusal: flag.default(false),
  /** How many tools are called at once. */
  tool_calls: count(128).default(1),
  /** The longest prompt that is accepted. */
  context_tokens: count(10_000_000).default(128_000),
};

const schema = z.strictObject(grammar);

export type Directives = z.output<typeof schema>;

const defaults: Directives = schema.parse({});
const headerPrefix = 'x-sim-';

/** Why directives were not understood, and where they stand. */
export interface Mistake {
  readonly message: string;
  /** `model`, or the header. */
  readonly param: string;
}

export interface Directed {
  /** The model's name without directives. */
  readonly model: string;
  readonly directives: Directives;
}

/**
 * Reads the directives of a request.
 * @returns a mistake that names the first directive that is unknown, malformed or given twice
 */
export function parseDirectives(
  modelWithDirectives: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Directed | Mistake {
  const mark = modelWithDirectives.indexOf('?');
  const model = mark === -1 ? modelWithDirectives : modelWithDirectives.slice(0, mark);
  const given = new Map<string, string>();
  const written = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(mark === -1 ? '' : modelWithDirectives.slice(mark + 1))) {
    if (given.has(name)) return { message: `Simulator directive '${name}' is given twice.`, param: 'model' };
    given.set(name, value);
    written.set(name, 'model');
  }
  for (const header in headers) {
    if (!header.startsWith(headerPrefix)) continue;
    const name = header.slice(headerPrefix.length).replaceAll('-', '_');
    given.set(name, String(headers[header]).trim());
    written.set(name, header);
  }
  if (given.size === 0) return { model, directives: defaults };
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return { model, directives: parsed.data };
  const { name, message } = firstMistake(parsed.error, given);
  return { message, param: written.get(name) ?? 'model' };
}

function firstMistake(error: z.ZodError, given: ReadonlyMap<string, string>) {
  const [issue] = error.issues;
  if (issue?.code === 'unrecognized_keys') {
    const name = issue.keys[0] ?? '';
    const known = Object.keys(grammar).join(', ');
    return { name, message: `Unknown simulator directive '${name}': the known ones are ${known}.` };
  }
  const name = String(issue?.path[0] ?? '');
  return {
    name,
    message: `Invalid simulator directive '${name}=${given.get(name) ?? ''}': ${issue?.message ?? ''}.`,
  };
}

function sortFaults(names: readonly (Ending | UsageFault | LayoutFault)[]): Faults | null {
  const chosen = new Set<string>(names);
  const ending = endings.filter((name) => chosen.has(name));
  const usage = usageFaults.filter((name) => chosen.has(name));
  if (ending.length > 1 || usage.length > 1) return null;
  return {
    ending: ending[0] ?? null,
    usage: usage[0] ?? null,
    layout: new Set(layoutFaults.filter((name) => chosen.has(name))),
  };
}
