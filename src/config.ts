import { z } from 'zod';
import { type BoundsConfig, boundsOf, boundsProblems, boundsVariables } from './config/bounds.ts';
import { type RedisConfig, redisOf, redisProblems, redisVariables } from './config/redis.ts';
import { withoutServiceLinks } from './config/service-links.ts';
import { type TracingConfig, tracingOf, tracingProblems } from './config/tracing.ts';

export interface ProviderConfig {
  readonly name: 'openai' | 'anthropic' | 'gemini';
  /** As the provider's own SDK takes it, without a slash at the end. */
  readonly baseUrl: string;
}

/** What holds for tenants that have nothing of their own. */
export interface BillingConfig {
  /** Whether what is not a stream, and what is one, may cost more than the balance and the credit limit have. */
  readonly allowNegative: boolean;
  readonly streamAllowNegative: boolean;
  /** False: what would be refused for want of money or quota is admitted and counted. */
  readonly blockOnInsufficient: boolean;
}

export interface Config {
  readonly host: string;
  readonly port: number;
  /** The ledger in Postgres, with its password; null: the embedded one. */
  readonly databaseUrl: string | null;
  /** Where the embedded ledger lives. */
  readonly dataDir: string;
  /** Hot state in Redis; null: in memory. */
  readonly redis: RedisConfig | null;
  /** Processes that serve on the one port. */
  readonly workers: number;
  /** Accepted beside the stored ones; null: one is made on the first start. */
  readonly adminToken: string | null;
  /** Whether a demo tenant and the simulated provider are set up. */
  readonly demo: boolean;
  /** Those whose key is set, which stays in the environment. */
  readonly providers: readonly ProviderConfig[];
  /** What a process takes at most. */
  readonly bounds: BoundsConfig;
  /** How long a drain waits for requests that run. */
  readonly drainMs: number;
  /** Networks of proxies that tell a client's address by x-forwarded-for. */
  readonly trustedProxies: readonly string[];
  readonly logLevel: string;
  readonly billing: BillingConfig;
  /** Null: none are told. */
  readonly prometheus: PrometheusConfig | null;
  /** How often one process of all compares hot state with the ledger, of the tenants of which something changed. */
  readonly reconcileMs: number;
  /** Null: off. */
  readonly tracing: TracingConfig | null;
}

export interface PrometheusConfig {
  /** HOST unless it is told otherwise: who scrapes is somewhere else than who asks. */
  readonly host: string;
  /** Where the metrics are; 0 is any port that is free. */
  readonly port: number;
  /** Whether somebody has asked for them: a start that can't listen there fails then, and otherwise goes without. */
  readonly isAskedFor: boolean;
}

/** What is wrong with the environment, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

type Environment = Readonly<Record<string, string | undefined>>;

const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const onOff = z.enum(['true', 'false']).transform((value) => value === 'true');
/** An empty variable is as good as none: compose files and shells leave such behind. */
const optionalText = z
  .string()
  .optional()
  .transform((value) => (value === undefined || value === '' ? null : value));

const baseUrl = (usual: string) =>
  z
    .url({ protocol: /^https?$/ })
    .default(usual)
    .transform((url) => url.replace(/\/+$/, ''));

const databaseUrl = z
  .url({
    protocol: /^postgres(ql)?$/,
    error: 'has to be a URL such as postgres://user:password@host:5432/database',
  })
  .optional()
  .transform((url) => url ?? null);

const network = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()]);

const networks = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )
  .refine((all) => all.every((one) => network.safeParse(one).success), {
    error: 'has to be networks in CIDR notation, separated by commas, such as 10.0.0.0/8,fd00::/8',
  });

const environmentSchema = z.object({
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(8000),
  DATABASE_URL: databaseUrl,
  DATA_DIR: z.string().min(1).default('./data'),
  ...redisVariables,
  WORKERS: wholeNumber(1, 64).default(1),
  ADMIN_TOKEN: optionalText.refine((token) => token === null || token.length >= 16, {
    error: 'has to be at least 16 characters long',
  }),
  DEMO: onOff.default(true),
  OPENAI_API_KEY: optionalText,
  OPENAI_BASE_URL: baseUrl('https://api.openai.com/v1'),
  ANTHROPIC_API_KEY: optionalText,
  ANTHROPIC_BASE_URL: baseUrl('https://api.anthropic.com'),
  GEMINI_API_KEY: optionalText,
  GEMINI_BASE_URL: baseUrl('https://generativelanguage.googleapis.com'),
  ...boundsVariables,
  DRAIN_SECONDS: wholeNumber(0, 3600).default(30),
  BILLING_BLOCK_ON_INSUFFICIENT: onOff.default(true),
  BILLING_ALLOW_NEGATIVE: onOff.default(false),
  BILLING_STREAM_ALLOW_NEGATIVE: onOff.default(true),
  TRUSTED_PROXIES: networks,
  PROMETHEUS_ENABLED: onOff.optional(),
  PROMETHEUS_PORT: wholeNumber(0, 65_535).optional(),
  PROMETHEUS_HOST: z.string().min(1).optional(),
  RECONCILE_SECONDS: wholeNumber(1, 3600).default(60),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

/**
 * The environment as a valid Config.
 * @throws ConfigError that names every variable at fault and what it may be, and never repeats a password.
 */
export function readConfig(environment: Environment): Config {
  const present = withoutServiceLinks(
    Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== '')),
  );
  const parsed = environmentSchema.safeParse(present);
  const malformed = parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  const together = parsed.success ? boundsProblems(parsed.data) : [];
  const problems = [...redisProblems(present), ...malformed, ...together, ...tracingProblems(present)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems.join('\n'));
  const { data } = parsed;
  const config: Config = {
    host: data.HOST,
    port: data.PORT,
    databaseUrl: data.DATABASE_URL,
    dataDir: data.DATA_DIR,
    redis: redisOf(data),
    workers: data.WORKERS,
    adminToken: data.ADMIN_TOKEN,
    demo: data.DEMO,
    providers: providersOf(data),
    bounds: boundsOf(data),
    drainMs: data.DRAIN_SECONDS * 1000,
    trustedProxies: data.TRUSTED_PROXIES,
    logLevel: data.LOG_LEVEL,
    billing: {
      allowNegative: data.BILLING_ALLOW_NEGATIVE,
      streamAllowNegative: data.BILLING_STREAM_ALLOW_NEGATIVE,
      blockOnInsufficient: data.BILLING_BLOCK_ON_INSUFFICIENT,
    },
    prometheus: prometheusOf(data),
    reconcileMs: data.RECONCILE_SECONDS * 1000,
    tracing: tracingOf(present),
  };
  refuseUnsharedWorkers(config);
  return config;
}

const usualPrometheusPort = 9090;

function prometheusOf({
  HOST,
  PROMETHEUS_HOST: host = HOST,
  PROMETHEUS_ENABLED: enabled,
  PROMETHEUS_PORT: port,
}: z.output<typeof environmentSchema>): PrometheusConfig | null {
  if (enabled === false) return null;
  const isAskedFor = enabled !== undefined || port !== undefined;
  return { host, port: port ?? usualPrometheusPort, isAskedFor };
}

/** What one process alone has, several can't work with. */
function refuseUnsharedWorkers({ workers, redis, databaseUrl }: Config): void {
  if (workers === 1) return;
  const missing = [
    ...(redis === null
      ? ['several processes share hot state in Redis: set REDIS_URL too (or another of the REDIS_ variables)']
      : []),
    ...(databaseUrl === null
      ? ['the embedded ledger belongs to one process: set DATABASE_URL too, to keep the ledger in Postgres']
      : []),
  ];
  if (missing.length > 0) throw new ConfigError(missing.map((line) => `WORKERS: ${line}`).join('\n'));
}

function providersOf(data: z.output<typeof environmentSchema>): readonly ProviderConfig[] {
  const all = [
    { apiKey: data.OPENAI_API_KEY, name: 'openai', baseUrl: data.OPENAI_BASE_URL },
    { apiKey: data.ANTHROPIC_API_KEY, name: 'anthropic', baseUrl: data.ANTHROPIC_BASE_URL },
    { apiKey: data.GEMINI_API_KEY, name: 'gemini', baseUrl: data.GEMINI_BASE_URL },
  ] as const;
  return all.flatMap(({ apiKey, ...provider }) => (apiKey === null ? [] : [provider]));
}
