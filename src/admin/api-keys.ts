import { z } from 'zod';
import type { Clock } from '../domain/clock.ts';
import { type ApiKeyId, hashSecret, newSecret, type TenantId } from '../domain/ids.ts';
import { type AdminCall, type AdminDependencies, adminCall, created, ok } from './admin-call.ts';
import { wholePage } from './pages.ts';
import { unknownApiKey, unknownTenant } from './refusals.ts';
import { id, members, moment, must, text } from './validation.ts';
import { apiKeyJson } from './wire.ts';

/** Enough to tell API keys apart, too little to guess one: 42 of 256 bits. */
const prefixLength = 'tg_'.length + 7;

const modelsShape = must('a list of model names, or absent to permit every model');

function newApiKey(clock: Clock) {
  return members({
    name: text(200),
    models: z.array(text(256), modelsShape).min(1, modelsShape).max(1000, modelsShape).nullish(),
    expires_at: moment
      .refine((atMs) => atMs > clock.now(), { error: 'must be in the future' })
      .transform((atMs) => new Date(atMs))
      .nullish(),
    // Refused rather than ignored: whoever sends a quota relies on it.
    quotas: z.undefined({ error: "isn't supported yet; leave it out, the tenant's limits apply" }).optional(),
  });
}

const tenantParams = members({ id });
const apiKeyParams = members({ id, api_key_id: id });

export function apiKeyCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  return [creation, list, reading, revocation].map((call) => call(dependencies));
}

function creation({ catalog, clock, newId }: AdminDependencies): AdminCall {
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
        models: body.models ?? null,
        expiresAt: body.expires_at ?? null,
      };
      const apiKey = await catalog.createApiKey(draft, {
        actor,
        action: 'api_key.create',
        subject: draft.id,
        detail: { tenant_id: tenant.id, name: draft.name, models: draft.models, expires_at: draft.expiresAt },
      });
      return created({ ...apiKeyJson(apiKey), secret });
    },
  });
}

function list({ catalog }: AdminDependencies): AdminCall {
  return adminCall({
    method: 'GET',
    path: '/tenants/{id}/api-keys',
    params: tenantParams,
    handle: async ({ params }) => {
      const tenant = await catalog.findTenant(params.id as TenantId);
      if (tenant === undefined) return unknownTenant(params.id);
      return wholePage((await catalog.listApiKeys(tenant.id)).map(apiKeyJson));
    },
  });
}

function reading({ catalog }: AdminDependencies): AdminCall {
  return adminCall({
    method: 'GET',
    path: '/tenants/{id}/api-keys/{api_key_id}',
    params: apiKeyParams,
    handle: async ({ params }) => {
      const all = await catalog.listApiKeys(params.id as TenantId);
      const apiKey = all.find((one) => one.id === params.api_key_id);
      return apiKey === undefined ? unknownApiKey(params.id, params.api_key_id) : ok(apiKeyJson(apiKey));
    },
  });
}

function revocation({ catalog }: AdminDependencies): AdminCall {
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
      return apiKey === undefined ? unknownApiKey(params.id, params.api_key_id) : ok(apiKeyJson(apiKey));
    },
  });
}
