import { z } from 'zod';
import { type DialectName, dialectNames, type NewUpstream, type ServedModel } from '../catalog/catalog.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { UpstreamId } from '../domain/ids.ts';
import { type AdminCall, type AdminDependencies, adminCall, created, ok } from './admin-call.ts';
import { wholePage } from './pages.ts';
import { id, integer, matching, members, must, oneOf } from './validation.ts';
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

const dialectsShape = must(`a list of dialects, without repetition, of: ${dialectNames.join(', ')}`);

const newUpstream = members({
  id,
  provider: id.optional(),
  dialects: z
    .array(oneOf(dialectNames), dialectsShape)
    .min(1, dialectsShape)
    .refine((it) => new Set(it).size === it.length, dialectsShape),
  base_url: baseUrl,
  credential: matching(
    /^[\x21-\x7e]{1,8192}$/,
    "the provider's secret, printable ASCII without spaces, or absent where the provider wants none",
  ).nullish(),
  headers_timeout_ms: integer(1, day).default(defaultHeadersTimeoutMs),
  idle_timeout_ms: integer(1, day).default(defaultIdleTimeoutMs),
});

export function upstreamCalls({ catalog }: AdminDependencies): readonly AdminCall[] {
  return [
    adminCall({
      method: 'POST',
      path: '/upstreams',
      changesCatalog: true,
      body: newUpstream,
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
        };
        const stranded = strandedModel(await catalog.listModels(), draft);
        if (stranded !== undefined) return strands(stranded);
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

/** The dialects that all of these speak: in others, a model's routes couldn't stand in for one another. */
export function sharedDialects(upstreams: readonly Pick<NewUpstream, 'dialects'>[]): readonly DialectName[] {
  return dialectNames.filter((dialect) => upstreams.every(({ dialects }) => dialects.includes(dialect)));
}

/** A model that would no longer have a dialect which all its upstreams share. */
function strandedModel(models: readonly ServedModel[], changed: NewUpstream): ServedModel | undefined {
  return models.find(({ targets }) => {
    const upstreams = targets.map(({ upstream }) => (upstream.id === changed.id ? changed : upstream));
    return upstreams.includes(changed) && sharedDialects(upstreams).length === 0;
  });
}

function strands({ name }: ServedModel): Refusal {
  return refusal(
    'REQUEST_INVALID',
    `\`dialects\` would leave model "${name}" without a dialect that all its routes share. Nothing was changed; PUT the model with other routes first.`,
    { param: 'dialects' },
  );
}

function unknownUpstream(upstreamId: string): Refusal {
  return refusal('NOT_FOUND', `There is no upstream "${upstreamId}".`);
}
