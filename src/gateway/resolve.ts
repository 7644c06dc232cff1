import type { ApiKey, Catalog, DialectName, ServedModel, Target } from '../catalog/catalog.ts';
import type { Clock } from '../domain/clock.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import { type Rates, rateCardAt } from '../domain/pricing.ts';

export interface ResolveOptions {
  readonly catalog: Catalog;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface Resolved {
  readonly kind: 'resolved';
  readonly model: ServedModel;
  readonly rates: Rates;
  /** In the order in which they are tried; at least one. */
  readonly targets: readonly [Target, ...Target[]];
}

/** Which upstreams serve the model for this API key, in which order, and at what price. */
export async function resolve(
  apiKey: ApiKey,
  modelName: string,
  dialect: DialectName,
  { catalog, clock, random }: ResolveOptions,
): Promise<Resolved | Refusal> {
  if (apiKey.models !== null && !apiKey.models.includes(modelName)) {
    return refusal('API_KEY_FORBIDDEN', `This API key may not use the model "${modelName}".`, {
      param: 'model',
    });
  }
  // SQL text has no NUL, so no model has one in its name.
  const model = modelName.includes('\0') ? undefined : await catalog.findModel(modelName);
  const speaking = model?.targets.filter(({ upstream }) => upstream.dialects.includes(dialect)) ?? [];
  const [first, ...rest] = inOrder(speaking, random);
  if (model === undefined || first === undefined) {
    const message = `There is no model "${modelName}" here for this API. GET /v1/models lists those that there are.`;
    return refusal('MODEL_NOT_FOUND', message, { param: 'model' });
  }
  const card = rateCardAt(model.rateCards, clock.now());
  if (card === undefined) {
    const message = `The model "${modelName}" has no price yet, so it is not served.`;
    return refusal('MODEL_NOT_PRICED', message, { param: 'model' });
  }
  return { kind: 'resolved', model, rates: card.rates, targets: [first, ...rest] };
}

/** By priority; within one priority a random order in which weight is the chance to be first. */
function inOrder(targets: readonly Target[], random: () => number): Target[] {
  if (targets.length < 2) return [...targets];
  return targets
    .map((target) => ({ target, rank: -Math.log(1 - random()) / target.route.weight }))
    .sort((a, b) => a.target.route.priority - b.target.route.priority || a.rank - b.rank)
    .map(({ target }) => target);
}
