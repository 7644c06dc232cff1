import {
  type ApiKey,
  type BookPrice,
  bookPriceOf,
  type Catalog,
  type DialectName,
  type ServedModel,
  type Target,
} from '../catalog/catalog.ts';
import type { DialectRequest } from '../dialects/dialect.ts';
import type { Clock } from '../domain/clock.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import { type PriceList, rateCardAt, withMissingRates } from '../domain/pricing.ts';
import { type Soon, whenKnown } from '../domain/soon.ts';
import { toolUnits } from '../domain/usage.ts';

export interface ResolveOptions {
  readonly catalog: Catalog;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface Resolved {
  readonly kind: 'resolved';
  readonly model: ServedModel;
  /** In tokens, as far as anybody says; null where nobody does. Only its admin's bound refuses a prompt. */
  readonly longestPrompt: number | null;
  readonly prices: PriceList;
  /** In the order in which they are tried; at least one. */
  readonly targets: readonly [Target, ...Target[]];
}

/** Which upstreams serve the model for this API key, in which order, and at what price. */
export function resolve(
  apiKey: ApiKey,
  { model: modelName, otherModels = [] }: Pick<DialectRequest, 'model' | 'otherModels'>,
  dialect: DialectName,
  options: ResolveOptions,
): Soon<Resolved | Refusal> {
  const tooMany = otherModelsRefusal(otherModels);
  if (tooMany !== null) return tooMany;
  const { models } = apiKey;
  const forbidden =
    models === null ? undefined : [modelName, ...otherModels].find((name) => !models.includes(name));
  if (forbidden !== undefined) {
    return refusal('API_KEY_FORBIDDEN', `This API key may not use the model "${forbidden.slice(0, 256)}".`, {
      param: 'model',
    });
  }
  // SQL text has no NUL, so no model has one in its name.
  const found = modelName.includes('\0') ? undefined : options.catalog.findModel(modelName);
  return whenKnown(found, (model) => served(model, modelName, dialect, options));
}

function served(
  model: ServedModel | undefined,
  modelName: string,
  dialect: DialectName,
  { catalog, clock, random }: ResolveOptions,
): Soon<Resolved | Refusal> {
  const speaking = model?.targets.filter(({ upstream }) => upstream.dialects.includes(dialect)) ?? [];
  const [first, ...rest] = inOrder(speaking, random);
  if (model === undefined || first === undefined) {
    const message = `There is no model "${modelName}" here for this API. GET /v1/models lists those that there are.`;
    return refusal('MODEL_NOT_FOUND', message, { param: 'model' });
  }
  const targets = [first, ...rest] as const;
  return whenKnown(bookPriceOf(model, catalog), (book) => priced(model, targets, book, clock.now()));
}

function priced(
  model: ServedModel,
  targets: Resolved['targets'],
  published: BookPrice | undefined,
  nowMs: number,
): Resolved | Refusal {
  const card = rateCardAt(model.rateCards, nowMs);
  // What a card leaves out of tools is at its published price: a unit without a price would be given away.
  const prices =
    card === undefined ? published?.prices : withMissingRates(card, published?.prices, toolUnits);
  if (prices === undefined) {
    const message = `The model "${model.name}" has no price yet, so it is not served.`;
    return refusal('MODEL_NOT_PRICED', message, { param: 'model' });
  }
  return {
    kind: 'resolved',
    model: { ...model, maxOutputTokens: model.maxOutputTokens ?? published?.maxOutputTokens ?? null },
    longestPrompt: model.maxInputTokens ?? published?.maxInputTokens ?? null,
    prices,
    targets,
  };
}

/** More than anyone lists in earnest: each is looked up before the request's money is. */
const mostOtherModels = 8;
const longestName = 256;

function otherModelsRefusal(names: readonly string[]): Refusal | null {
  if (names.length === 0) return null;
  const distinct = new Set(names);
  const odd = [...distinct].some((name) => name.length > longestName || name.includes('\0'));
  if (distinct.size <= mostOtherModels && !odd) return null;
  const message = `A request may name at most ${mostOtherModels} other models, each of at most ${longestName} characters. Nothing was charged.`;
  return refusal('REQUEST_INVALID', message);
}

/** Whether a model has a price at this moment, so that it is served. */
export async function isPriced(model: ServedModel, catalog: Catalog, nowMs: number): Promise<boolean> {
  return (
    rateCardAt(model.rateCards, nowMs) !== undefined || (await bookPriceOf(model, catalog)) !== undefined
  );
}

/** By priority; within one priority a random order in which weight is the chance to be first. */
function inOrder(targets: readonly Target[], random: () => number): Target[] {
  if (targets.length < 2) return [...targets];
  return targets
    .map((target) => ({ target, rank: -Math.log(1 - random()) / target.route.weight }))
    .sort((a, b) => a.target.route.priority - b.target.route.priority || a.rank - b.rank)
    .map(({ target }) => target);
}
