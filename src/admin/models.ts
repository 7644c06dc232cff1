import { z } from 'zod';
import { clientGonePolicies, type Route, type Upstream } from '../catalog/catalog.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { UpstreamId } from '../domain/ids.ts';
import { type AdminCall, type AdminDependencies, adminCall, ok } from './admin-call.ts';
import { wholePage } from './pages.ts';
import { rates, ratesJson } from './rates.ts';
import { sharedDialects } from './upstreams.ts';
import { id, integer, members, modelName, must, oneOf, text } from './validation.ts';
import { modelJson } from './wire.ts';

const routesShape = must('a list of 1 to 32 routes');

const route = members({
  upstream: id,
  upstream_model: text(256),
  weight: integer(1, 1_000_000).default(1),
  priority: integer(0, 1_000_000).default(0),
  when_client_gone: oneOf(clientGonePolicies).default('cancel'),
});

/** Without rates a model keeps those it has; one that has none is not served until it does (MODEL_NOT_PRICED). */
const newModel = members({
  routes: z.array(route, routesShape).min(1, routesShape).max(32, routesShape),
  rates: rates.optional(),
  max_input_tokens: integer(1, Number.MAX_SAFE_INTEGER).nullish(),
  max_output_tokens: integer(1, Number.MAX_SAFE_INTEGER).nullish(),
});

type NewModelBody = z.output<typeof newModel>;

export function modelCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  const { catalog, clock } = dependencies;
  const params = members({ model: modelName });
  return [
    adminCall({
      method: 'PUT',
      path: '/models/{+model}',
      changesCatalog: true,
      params,
      body: newModel,
      handle: async ({ params, body, actor }) => {
        const refused = await refuseModel(dependencies, body);
        if (refused !== undefined) return refused;
        const { rates, routes, max_input_tokens = null, max_output_tokens = null } = body;
        const draft = {
          name: params.model,
          routes: routes.map(routeOf),
          rateCard: rates === undefined ? null : { effectiveFromMs: clock.now(), rates },
          maxInputTokens: max_input_tokens,
          maxOutputTokens: max_output_tokens,
        };
        const served = await catalog.putModel(draft, {
          actor,
          action: 'model.put',
          subject: params.model,
          detail: {
            routes,
            max_input_tokens,
            max_output_tokens,
            rates: rates === undefined ? 'kept' : ratesJson(rates),
          },
        });
        if ('kind' in served) return unknownUpstream(routes, served.ids);
        return ok(modelJson(served, clock.now()));
      },
    }),
    adminCall({
      method: 'GET',
      path: '/models',
      handle: async () => {
        const nowMs = clock.now();
        return wholePage((await catalog.listModels()).map((model) => modelJson(model, nowMs)));
      },
    }),
    adminCall({
      method: 'GET',
      path: '/models/{+model}',
      params,
      handle: async ({ params }) => {
        const model = await catalog.findModel(params.model);
        if (model !== undefined) return ok(modelJson(model, clock.now()));
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
  };
}

async function refuseModel(
  { catalog }: AdminDependencies,
  { routes }: NewModelBody,
): Promise<Refusal | undefined> {
  const known = new Map<string, Upstream>((await catalog.listUpstreams()).map((one) => [one.id, one]));
  // Those that are unknown are left to the store, which looks again when it writes.
  const upstreams = routes.flatMap((sent) => known.get(sent.upstream) ?? []);
  if (sharedDialects(upstreams).length === 0) {
    return refusal(
      'REQUEST_INVALID',
      '`routes` go to upstreams that share no dialect, so none could stand in for another. Serve them as models of their own.',
      { param: 'routes' },
    );
  }
  return undefined;
}

function unknownUpstream(routes: NewModelBody['routes'], unknown: readonly string[]): Refusal {
  const index = routes.findIndex((sent) => unknown.includes(sent.upstream));
  return refusal(
    'REQUEST_INVALID',
    `There is no upstream "${unknown.join('", "')}". Nothing was changed; POST the upstream first.`,
    { param: `routes[${index}].upstream` },
  );
}
