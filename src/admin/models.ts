import { z } from 'zod';
import { bookPriceOf, clientGonePolicies, type Route, type ServedModel } from '../catalog/catalog.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { UpstreamId } from '../domain/ids.ts';
import { type AdminCall, type AdminDependencies, adminCall, ok } from './admin-call.ts';
import { wholePage } from './pages.ts';
import { rates, ratesJson } from './rates.ts';
import { id, integer, members, modelName, moment, must, oneOf, text } from './validation.ts';
import { modelJson } from './wire.ts';

const routesShape = must('a list of 1 to 32 routes');

const route = members({
  upstream: id,
  upstream_model: text(256),
  weight: integer(1, 1_000_000).default(1),
  priority: integer(0, 1_000_000).default(0),
  when_client_gone: oneOf(clientGonePolicies).default('cancel'),
  /** What the provider charges us here. */
  cost_rates: rates.nullish(),
});

/** Without rates a model keeps those it has; one that has none is not served until it does (MODEL_NOT_PRICED). */
const newModel = members({
  routes: z.array(route, routesShape).min(1, routesShape).max(32, routesShape),
  rates: rates.optional(),
  /** From when the rates count; absent: from now on. */
  effective_from: moment.optional(),
  max_input_tokens: integer(1, Number.MAX_SAFE_INTEGER).nullish(),
  max_output_tokens: integer(1, Number.MAX_SAFE_INTEGER).nullish(),
});

type NewModelBody = z.output<typeof newModel>;

export function modelCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  const { catalog, clock } = dependencies;
  const params = members({ model: modelName });
  const shown = async (model: ServedModel) =>
    modelJson(model, await bookPriceOf(model, catalog), clock.now());
  return [
    adminCall({
      method: 'PUT',
      path: '/models/{+model}',
      changesCatalog: true,
      params,
      body: newModel,
      handle: async ({ params, body, actor }) => {
        const nowMs = clock.now();
        const {
          rates,
          routes,
          effective_from = nowMs,
          max_input_tokens = null,
          max_output_tokens = null,
        } = body;
        const refused = effectiveFromRefusal(body, nowMs);
        if (refused !== null) return refused;
        const draft = {
          name: params.model,
          routes: routes.map(routeOf),
          rateCard: rates === undefined ? null : { effectiveFromMs: effective_from, ...rates },
          maxInputTokens: max_input_tokens,
          maxOutputTokens: max_output_tokens,
        };
        const served = await catalog.putModel(draft, {
          actor,
          action: 'model.put',
          subject: params.model,
          detail: {
            routes: auditedRoutes(routes),
            max_input_tokens,
            max_output_tokens,
            rates: rates === undefined ? 'kept' : ratesJson(rates),
            effective_from: new Date(effective_from).toISOString(),
          },
        });
        if ('kind' in served) return unknownUpstream(routes, served.ids);
        return ok(await shown(served));
      },
    }),
    adminCall({
      method: 'GET',
      path: '/models',
      handle: async () => {
        return wholePage(await Promise.all((await catalog.listModels()).map(shown)));
      },
    }),
    adminCall({
      method: 'GET',
      path: '/models/{+model}',
      params,
      handle: async ({ params }) => {
        const model = await catalog.findModel(params.model);
        if (model !== undefined) return ok(await shown(model));
        return refusal('NOT_FOUND', `There is no model "${params.model}".`);
      },
    }),
  ];
}

function routeOf(sent: NewModelBody['routes'][number]): Route {
  return {
    upstreamId: sent.upstream as UpstreamId,
    upstreamModel: sent.upstream_model,
    weight: sent.weight,
    priority: sent.priority,
    whenClientGone: sent.when_client_gone,
    costRates: sent.cost_rates ?? null,
  };
}

/** Routes as the audit log keeps them: rates as decimal strings. */
function auditedRoutes(routes: NewModelBody['routes']) {
  return routes.map(({ cost_rates, ...route }) => ({
    ...route,
    ...(cost_rates == null ? {} : { cost_rates: ratesJson(cost_rates) }),
  }));
}

/** Rates may be announced, never backdated: what was charged stays charged. */
function effectiveFromRefusal({ rates, effective_from }: NewModelBody, nowMs: number): Refusal | null {
  if (effective_from === undefined) return null;
  const param = { param: 'effective_from' };
  if (rates === undefined) {
    return refusal('REQUEST_INVALID', '`effective_from` says from when `rates` count: send them too.', param);
  }
  if (effective_from >= nowMs) return null;
  const message = '`effective_from` is over: rates count from now on (leave it out) or from a later moment.';
  return refusal('REQUEST_INVALID', message, param);
}

function unknownUpstream(routes: NewModelBody['routes'], unknown: readonly string[]): Refusal {
  const index = routes.findIndex((sent) => unknown.includes(sent.upstream));
  return refusal(
    'REQUEST_INVALID',
    `There is no upstream "${unknown.join('", "')}". Nothing was changed; POST the upstream first.`,
    { param: `routes[${index}].upstream` },
  );
}
