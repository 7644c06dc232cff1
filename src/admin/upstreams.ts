import { z } from 'zod';
import type { DialectName, NewUpstream } from '../catalog/catalog.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { UpstreamId } from '../domain/ids.ts';
import type { QuirkOverrides } from '../domain/quirks.ts';
import { type AdminCall, type AdminDependencies, adminCall, created, ok } from './admin-call.ts';
import { wholePage } from './pages.ts';
import { flag, id, integer, matching, members, must, oneOf } from './validation.ts';
import { upstreamJson } from './wire.ts';

const defaultHeadersTimeoutMs = 600_000;
const defaultIdleTimeoutMs = 300_000;
const day = 86_400_000;

const urlShape = must(
  'an http or https URL without user, query or fragment, as the provider\'s own SDK takes it, for instance "https://api.openai.com/v1"',
);

const baseUrl = z
  .string(urlShape)
  .max(2048, urlShape)
  .refine(isBaseUrl, urlShape)
  .transform((text) => {
    const { origin, pathname } = new URL(text);
    return `${origin}${pathname.replace(/\/+$/, '')}`;
  });

function isBaseUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return false;
  // A bare "?" or "#" leaves no trace in the parsed URL.
  return url.username === '' && url.password === '' && !/[?#\s]/.test(text);
}

const quirks = members({
  unknown_members: oneOf(['refuse', 'pass']).optional(),
  takes_stream_options: flag.optional(),
  max_tokens_member: oneOf(['max_tokens', 'max_completion_tokens']).optional(),
  default_completion_tokens: integer(1, 100_000_000).nullish(),
  reasoning_is_outside: flag.optional(),
  hides_reasoning: flag.optional(),
  cached_is_outside: oneOf(['always', 'never', 'when_larger']).optional(),
});

function overridesOf(sent: z.output<typeof quirks>): QuirkOverrides {
  const overrides = {
    unknownMembers: sent.unknown_members,
    takesStreamOptions: sent.takes_stream_options,
    maxTokensMember: sent.max_tokens_member,
    defaultCompletionTokens: sent.default_completion_tokens,
    reasoningIsOutside: sent.reasoning_is_outside,
    hidesReasoning: sent.hides_reasoning,
    cachedIsOutside: sent.cached_is_outside,
  };
  return Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
}

function newUpstream(dialectNames: readonly DialectName[]) {
  const shape = must(`a list of dialects, without repetition, of: ${dialectNames.join(', ')}`);
  return members({
    id,
    provider: id.optional(),
    dialects: z
      .array(
        z
          .string(shape)
          .refine((name) => dialectNames.includes(name), must(`one of ${dialectNames.join(', ')}`)),
        shape,
      )
      .min(1, shape)
      .refine((it) => new Set(it).size === it.length, shape),
    base_url: baseUrl,
    credential: matching(
      /^[\x21-\x7e]{1,8192}$/,
      "the provider's secret, printable ASCII without spaces, or absent where the provider wants none",
    ).nullish(),
    headers_timeout_ms: integer(1, day).default(defaultHeadersTimeoutMs),
    idle_timeout_ms: integer(1, day).default(defaultIdleTimeoutMs),
    quirks: quirks.optional(),
  });
}

export function upstreamCalls({ catalog, dialectNames }: AdminDependencies): readonly AdminCall[] {
  return [
    adminCall({
      method: 'POST',
      path: '/upstreams',
      changesCatalog: true,
      body: newUpstream(dialectNames),
      handle: async ({ body, actor }) => {
        const before = (await catalog.listUpstreams()).find((one) => one.id === body.id);
        const draft: NewUpstream = {
          id: body.id as UpstreamId,
          provider: body.provider ?? body.id,
          dialects: body.dialects,
          baseUrl: body.base_url,
          // Absent, it stays as it is: whoever changes a URL must not take the secret away. Null removes it.
          credential: body.credential === undefined ? (before?.credential ?? null) : body.credential,
          headersTimeoutMs: body.headers_timeout_ms,
          idleTimeoutMs: body.idle_timeout_ms,
          // Absent, they stay likewise; `{}` returns to what is known of the provider.
          quirkOverrides:
            body.quirks === undefined ? (before?.quirkOverrides ?? {}) : overridesOf(body.quirks),
        };
        const { credential, ...visible } = draft;
        const upstream = await catalog.putUpstream(draft, {
          actor,
          action: 'upstream.put',
          subject: draft.id,
          detail: { ...visible, has_credential: credential !== null },
        });
        return created(upstreamJson(upstream));
      },
    }),
    adminCall({
      method: 'GET',
      path: '/upstreams',
      handle: async () => wholePage((await catalog.listUpstreams()).map(upstreamJson)),
    }),
    adminCall({
      method: 'GET',
      path: '/upstreams/{id}',
      params: members({ id }),
      handle: async ({ params }) => {
        const upstream = (await catalog.listUpstreams()).find((one) => one.id === params.id);
        return upstream === undefined ? unknownUpstream(params.id) : ok(upstreamJson(upstream));
      },
    }),
  ];
}

function unknownUpstream(upstreamId: string): Refusal {
  return refusal('NOT_FOUND', `There is no upstream "${upstreamId}".`);
}
