import { z } from 'zod';
import { type ApiKey, type ApiKeyChanges, unlimitedApiKey } from '../catalog/catalog.ts';
import type { Clock } from '../domain/clock.ts';
import { type ApiKeyId, hashSecret, newSecret, type TenantId } from '../domain/ids.ts';
import { type AdminCall, type AdminDependencies, adminCall, created, ok } from './admin-call.ts';
import { apiKeyQuotas, quotaWriter, setQuotas, wantedQuotaJson } from './api-key-quotas.ts';
import { wholePage } from './pages.ts';
import { unknownApiKey, unknownTenant } from './refusals.ts';
import { id, limit, members, moment, must, text } from './validation.ts';
import { apiKeyJson } from './wire.ts';

/** Enough to tell API keys apart, too little to guess one: 42 of 256 bits. */
const prefixLength = 'tg_'.length + 7;

const modelsShape = must('a list of model names, or absent to permit every model');

const examples = 'such as "203.0.113.0/24" or "2001:db8::/32"';
const networkShape = must(`an address or a network in CIDR notation, ${examples}`);
const network = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], networkShape);
const networksShape = must(`a list of networks, ${examples}, or null to permit every address`);

/** What an API key may, and how much of it. */
function keyLimits(clock: Clock) {
  return {
    models: z.array(text(256), modelsShape).min(1, modelsShape).max(1000, modelsShape).nullish(),
    expires_at: moment
      .refine((atMs) => atMs > clock.now(), { error: 'must be in the future' })
      .transform((atMs) => new Date(atMs))
      .nullish(),
    rpm_limit: limit.optional(),
    tpm_limit: limit.optional(),
    max_open_requests: limit.optional(),
    allowed_networks: z
      .array(network, networksShape)
      .min(1, networksShape)
      .max(1000, networksShape)
      .nullish(),
    quotas: apiKeyQuotas.optional(),
  };
}

type KeyLimits = z.output<ReturnType<typeof z.object<ReturnType<typeof keyLimits>>>>;

function newApiKey(clock: Clock) {
  return members({ name: text(200), ...keyLimits(clock) });
}

const tenantParams = members({ id });
const apiKeyParams = members({ id, api_key_id: id });

export function apiKeyCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  return [creation, list, reading, change, revocation].map((call) => call(dependencies));
}

function creation(dependencies: AdminDependencies): AdminCall {
  const { catalog, clock, newId } = dependencies;
  return adminCall({
    method: 'POST',
    path: '/tenants/{id}/api-keys',
    changesCatalog: true,
    params: tenantParams,
    body: newApiKey(clock),
    handle: async ({ params, body, actor }) => {
      const tenant = await catalog.findTenant(params.id as TenantId);
      if (tenant === undefined) return unknownTenant(params.id);
      const secret = newSecret('tg');
      const draft = {
        id: newId() as ApiKeyId,
        tenantId: tenant.id,
        name: body.name,
        secretHash: hashSecret(secret),
        prefix: secret.slice(0, prefixLength),
        ...unlimitedApiKey,
        ...limitChanges(body),
      };
      const owner = { tenantId: tenant.id, apiKeyId: draft.id };
      // Before the key: it never works without them, and quotas of a key that was never made harm nobody.
      if (body.quotas !== undefined) await setQuotas(dependencies, owner, body.quotas);
      const apiKey = await catalog.createApiKey(draft, {
        actor,
        action: 'api_key.create',
        subject: draft.id,
        detail: { tenant_id: tenant.id, ...auditDetail(body) },
      });
      return created({ ...(await withQuotas(dependencies, apiKey)), secret });
    },
  });
}

function list(dependencies: AdminDependencies): AdminCall {
  const { catalog } = dependencies;
  return adminCall({
    method: 'GET',
    path: '/tenants/{id}/api-keys',
    params: tenantParams,
    handle: async ({ params }) => {
      const tenant = await catalog.findTenant(params.id as TenantId);
      if (tenant === undefined) return unknownTenant(params.id);
      const quotasOf = await quotaWriter(dependencies, tenant.id);
      const all = await catalog.listApiKeys(tenant.id);
      return wholePage(all.map((apiKey) => apiKeyJson(apiKey, quotasOf(apiKey.id))));
    },
  });
}

function reading(dependencies: AdminDependencies): AdminCall {
  const { catalog } = dependencies;
  return adminCall({
    method: 'GET',
    path: '/tenants/{id}/api-keys/{api_key_id}',
    params: apiKeyParams,
    handle: async ({ params }) => {
      const all = await catalog.listApiKeys(params.id as TenantId);
      const apiKey = all.find((one) => one.id === params.api_key_id);
      if (apiKey === undefined) return unknownApiKey(params.id, params.api_key_id);
      return ok(await withQuotas(dependencies, apiKey));
    },
  });
}

async function withQuotas(dependencies: AdminDependencies, apiKey: ApiKey) {
  const quotasOf = await quotaWriter(dependencies, apiKey.tenantId);
  return apiKeyJson(apiKey, quotasOf(apiKey.id));
}

/** The audit log keeps JSON, which has no bigint. */
function auditDetail<Body extends Partial<KeyLimits>>({ quotas, ...rest }: Body) {
  return { ...rest, ...(quotas === undefined ? {} : { quotas: quotas.map(wantedQuotaJson) }) };
}

/** Without a limit that wasn't sent. */
function limitChanges(body: KeyLimits): ApiKeyChanges {
  const { models, expires_at, rpm_limit, tpm_limit, max_open_requests, allowed_networks } = body;
  return {
    ...(models === undefined ? {} : { models }),
    ...(expires_at === undefined ? {} : { expiresAt: expires_at }),
    ...(rpm_limit === undefined ? {} : { rpmLimit: rpm_limit }),
    ...(tpm_limit === undefined ? {} : { tpmLimit: tpm_limit }),
    ...(max_open_requests === undefined ? {} : { maxOpenRequests: max_open_requests }),
    ...(allowed_networks === undefined ? {} : { allowedNetworks: allowed_networks }),
  };
}

function keyChanges(clock: Clock) {
  const shape = { name: text(200).optional(), ...keyLimits(clock) };
  return members(shape).refine((it) => Object.values(it).some((value) => value !== undefined), {
    error: `must have at least one of the members ${Object.keys(shape).join(', ')}`,
  });
}

function change(dependencies: AdminDependencies): AdminCall {
  const { catalog, clock } = dependencies;
  return adminCall({
    method: 'PATCH',
    path: '/tenants/{id}/api-keys/{api_key_id}',
    changesCatalog: true,
    params: apiKeyParams,
    body: keyChanges(clock),
    handle: async ({ params, body, actor }) => {
      const changes = { ...limitChanges(body), ...(body.name === undefined ? {} : { name: body.name }) };
      const [tenantId, id] = [params.id as TenantId, params.api_key_id as ApiKeyId];
      const known = (await catalog.listApiKeys(tenantId)).some((one) => one.id === id);
      if (!known) return unknownApiKey(params.id, params.api_key_id);
      if (body.quotas !== undefined) await setQuotas(dependencies, { tenantId, apiKeyId: id }, body.quotas);
      const apiKey = await catalog.changeApiKey(tenantId, id, changes, {
        actor,
        action: 'api_key.change',
        subject: id,
        detail: { tenant_id: tenantId, ...auditDetail(body) },
      });
      if (apiKey === undefined) return unknownApiKey(params.id, params.api_key_id);
      return ok(await withQuotas(dependencies, apiKey));
    },
  });
}

function revocation(dependencies: AdminDependencies): AdminCall {
  const { catalog } = dependencies;
  return adminCall({
    method: 'DELETE',
    path: '/tenants/{id}/api-keys/{api_key_id}',
    changesCatalog: true,
    params: apiKeyParams,
    handle: async ({ params, actor }) => {
      const apiKey = await catalog.revokeApiKey(params.id as TenantId, params.api_key_id as ApiKeyId, {
        actor,
        action: 'api_key.revoke',
        subject: params.api_key_id,
        detail: { tenant_id: params.id },
      });
      if (apiKey === undefined) return unknownApiKey(params.id, params.api_key_id);
      return ok(await withQuotas(dependencies, apiKey));
    },
  });
}
