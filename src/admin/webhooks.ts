import { z } from 'zod';
import type { CatalogStore } from '../catalog/catalog.ts';
import type { IdSource, TenantId } from '../domain/ids.ts';
import {
  type DeliveryReport,
  eventTypes,
  type Outbox,
  type ReportedEvent,
  type Webhook,
  type Webhooks,
} from '../outbox/outbox.ts';
import { newSigningSecret } from '../outbox/signature.ts';
import { type AdminCall, adminCall, created, type Json, ok } from './admin-call.ts';
import { numberCursor, page, pageSize, wholePage } from './pages.ts';
import { unknownTenant, unknownWebhook } from './refusals.ts';
import { id, members, must, oneOf } from './validation.ts';

export interface WebhookDependencies {
  readonly webhooks: Webhooks;
  readonly outbox: Pick<Outbox, 'list'>;
  readonly catalog: Pick<CatalogStore, 'findTenant' | 'recordAudit'>;
  readonly newId: IdSource;
}

const urlShape = must(
  'an http or https URL without user and fragment, for instance "https://example.com/hooks/tollgate"',
);

const url = z
  .string(urlShape)
  .max(2048, urlShape)
  .refine((text) => {
    const parsed = URL.parse(text);
    if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) return false;
    return parsed.username === '' && parsed.password === '' && !/[#\s]/.test(text);
  }, urlShape);

const eventsShape = must(`a list of events, of ${eventTypes.join(', ')}, or null for all of them`);

const newWebhook = members({
  url,
  tenant_id: id.nullish(),
  events: z.array(oneOf(eventTypes), eventsShape).min(1, eventsShape).max(100, eventsShape).nullish(),
});

/** To whom warnings go, and what came of each. */
export function webhookCalls(dependencies: WebhookDependencies): readonly AdminCall[] {
  return [creation, list, removal, events].map((call) => call(dependencies));
}

function creation({ webhooks, catalog, newId }: WebhookDependencies): AdminCall {
  return adminCall({
    method: 'POST',
    path: '/webhooks',
    body: newWebhook,
    handle: async ({ body, actor }) => {
      const tenantId = (body.tenant_id ?? null) as TenantId | null;
      if (tenantId !== null && (await catalog.findTenant(tenantId)) === undefined)
        return unknownTenant(tenantId);
      const webhook = await webhooks.add({
        id: newId(),
        tenantId,
        url: body.url,
        secret: newSigningSecret(),
        events: body.events ?? null,
      });
      const detail = { url: webhook.url, tenant_id: webhook.tenantId, events: webhook.events };
      await catalog.recordAudit({ actor, action: 'webhook.create', subject: webhook.id, detail });
      return created({ ...webhookJson(webhook), secret: webhook.secret });
    },
  });
}

function list({ webhooks }: WebhookDependencies): AdminCall {
  return adminCall({
    method: 'GET',
    path: '/webhooks',
    handle: async () => wholePage((await webhooks.list()).map(webhookJson)),
  });
}

function removal({ webhooks, catalog }: WebhookDependencies): AdminCall {
  return adminCall({
    method: 'DELETE',
    path: '/webhooks/{id}',
    params: members({ id }),
    handle: async ({ params, actor }) => {
      const webhook = (await webhooks.list()).find((one) => one.id === params.id);
      if (webhook === undefined || !(await webhooks.remove(webhook.id))) return unknownWebhook(params.id);
      const detail = { url: webhook.url };
      await catalog.recordAudit({ actor, action: 'webhook.remove', subject: webhook.id, detail });
      return ok(webhookJson(webhook));
    },
  });
}

function events({ outbox }: WebhookDependencies): AdminCall {
  return adminCall({
    method: 'GET',
    path: '/events',
    query: members({ tenant_id: id.optional(), limit: pageSize, cursor: numberCursor.optional() }),
    handle: async ({ query }) => {
      const found = await outbox.list({
        ...(query.tenant_id === undefined ? {} : { tenantId: query.tenant_id as TenantId }),
        ...(query.cursor === undefined ? {} : { before: query.cursor }),
        limit: query.limit + 1,
      });
      return page(found, query.limit, { json: eventJson, cursor: ({ position }) => position });
    },
  });
}

/** Without the secret, which is shown once. */
function webhookJson(webhook: Webhook) {
  return {
    id: webhook.id,
    url: webhook.url,
    tenant_id: webhook.tenantId,
    events: webhook.events,
    created_at: webhook.createdAt.toISOString(),
    disabled_at: webhook.disabledAt?.toISOString() ?? null,
  };
}

function eventJson(event: ReportedEvent): Json {
  return {
    id: event.id,
    type: event.type,
    timestamp: event.createdAt.toISOString(),
    data: event.data,
    deliveries: event.deliveries.map(deliveryJson),
  };
}

function deliveryJson(delivery: DeliveryReport): Json {
  return {
    webhook_id: delivery.webhookId,
    state: delivery.state,
    attempts: delivery.attempts,
    next_attempt_at: delivery.nextAttemptAt?.toISOString() ?? null,
    delivered_at: delivery.deliveredAt?.toISOString() ?? null,
    last_error: delivery.lastError,
  };
}
