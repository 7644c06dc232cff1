import { z } from 'zod';

export interface RedisNodeConfig {
  readonly host: string;
  readonly port: number;
}

/** Where hot state is in Redis, with its passwords. */
export type RedisConfig =
  | { readonly kind: 'single'; readonly url: string }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly RedisNodeConfig[];
      /** Of the master, as the sentinels know it. */
      readonly name: string;
      readonly sentinelPassword: string | null;
      readonly password: string | null;
      readonly db: number;
    }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly RedisNodeConfig[];
      readonly password: string | null;
    };

const urlShape = 'has to be a URL such as redis://user:password@host:6379/0, or rediss:// for TLS';

/** The server alone: its parameters would be options of the client, which are ours. */
function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(text);
  return (
    /^rediss?:$/.test(protocol) &&
    hostname !== '' &&
    /^(\/\d{0,5})?$/.test(pathname) &&
    search === '' &&
    hash === '' &&
    isDecodable(username) &&
    isDecodable(password)
  );
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

const host = /^(\[[0-9a-fA-F:.]+\]|[^\s:/@[\]]+)$/;
const hostAndPort = /^(\[[0-9a-fA-F:.]+\]|[^\s:/@[\]]+):(\d{1,5})$/;
const isPort = (port: number) => port >= 1 && port <= 65_535;

const nodeList = z.string().transform((text, context): readonly RedisNodeConfig[] => {
  const nodes = text.split(',').map((part) => {
    const [, name = '', port = ''] = hostAndPort.exec(part.trim()) ?? [];
    return { host: name.replace(/^\[|\]$/g, ''), port: Number(port) };
  });
  if (nodes.every((node) => node.host !== '' && isPort(node.port))) return nodes;
  context.addIssue({ code: 'custom', message: 'has to be a list such as host:port,host:port' });
  return z.NEVER;
});

const text = z
  .string()
  .optional()
  .transform((value) => value ?? null);

/** Of the environment, each by itself; `redisOf` tells what they are together. */
export const redisVariables = {
  REDIS_URL: z.string().refine(isRedisUrl, { error: urlShape }).optional(),
  REDIS_HOST: z.string().regex(host, { error: 'has to be a name or an address, without a port' }).optional(),
  REDIS_PORT: z.coerce.number().int().min(1).max(65_535).optional(),
  REDIS_DB: z.coerce.number().int().min(0).max(99_999).optional(),
  REDIS_PASSWORD: text,
  REDIS_CLUSTER_NODES: nodeList.optional(),
  REDIS_SENTINELS: nodeList.optional(),
  REDIS_SENTINEL_NAME: z.string().optional(),
  REDIS_SENTINEL_PASSWORD: text,
};

type Variable = keyof typeof redisVariables;
type Environment = Readonly<Record<string, string | undefined>>;

/** Each names one kind of address, with the variables that go with it. */
const kinds = {
  REDIS_URL: [],
  REDIS_HOST: ['REDIS_PORT', 'REDIS_DB', 'REDIS_PASSWORD'],
  REDIS_CLUSTER_NODES: ['REDIS_PASSWORD'],
  REDIS_SENTINELS: ['REDIS_SENTINEL_NAME', 'REDIS_SENTINEL_PASSWORD', 'REDIS_PASSWORD', 'REDIS_DB'],
} as const satisfies Partial<Record<Variable, readonly Variable[]>>;
type Kind = keyof typeof kinds;
const kindNames = Object.keys(kinds) as Kind[];
const details = new Set<Variable>(Object.values(kinds).flat());

/** What is wrong with the variables together, a line each; their values are judged elsewhere. */
export function redisProblems(environment: Environment): string[] {
  const named = kindNames.filter((name) => environment[name] !== undefined);
  const [kind] = named;
  if (named.length > 1) return [`${named.join(', ')}: name one Redis only, so set one of them`];
  const known: readonly Variable[] = kind === undefined ? [] : kinds[kind];
  return [...details]
    .filter((name) => environment[name] !== undefined && !known.includes(name))
    .map((name) => `${name}: ${misplaced(name, kind)}`);
}

function misplaced(name: Variable, kind: Kind | undefined): string {
  const homes = kindNames.filter((home) => (kinds[home] as readonly Variable[]).includes(name)).join(' or ');
  if (kind === undefined) return `has no effect without ${homes}`;
  if (kind === 'REDIS_URL') return `belongs to ${homes}: REDIS_URL says it itself`;
  return `belongs to ${homes} and not to ${kind}`;
}

/** What the variables are together; null without any. */
export function redisOf(variables: z.output<z.ZodObject<typeof redisVariables>>): RedisConfig | null {
  const { REDIS_URL: url, REDIS_HOST, REDIS_CLUSTER_NODES: nodes, REDIS_SENTINELS: sentinels } = variables;
  const { REDIS_PORT: port = 6379, REDIS_DB: db = 0, REDIS_PASSWORD: password } = variables;
  if (url !== undefined) return { kind: 'single', url };
  if (nodes !== undefined) return { kind: 'cluster', nodes, password };
  if (sentinels !== undefined) {
    const { REDIS_SENTINEL_NAME: name = 'mymaster', REDIS_SENTINEL_PASSWORD: sentinelPassword } = variables;
    return { kind: 'sentinel', sentinels, name, sentinelPassword, password, db };
  }
  if (REDIS_HOST === undefined) return null;
  const credentials = password === null ? '' : `:${encodeURIComponent(password)}@`;
  return { kind: 'single', url: `redis://${credentials}${REDIS_HOST}:${port}/${db}` };
}
