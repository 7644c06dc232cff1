import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../domain/clock.ts';
import { isPriced } from '../gateway/resolve.ts';

/** The models that an API key may use and that have a price, in the shape of OpenAI's list. */
export async function listModels(
  permitted: readonly string[] | null,
  { catalog, clock }: { readonly catalog: Catalog; readonly clock: Clock },
) {
  const models = await catalog.listModels();
  const priced = await Promise.all(models.map((model) => isPriced(model, catalog, clock.now())));
  const usable = models.filter(
    ({ name, targets }, index) =>
      priced[index] === true && targets.length > 0 && (permitted === null || permitted.includes(name)),
  );
  return {
    object: 'list',
    data: usable.map(({ name, targets, createdAt }) => ({
      id: name,
      object: 'model',
      created: Math.floor(createdAt.getTime() / 1000),
      owned_by: targets[0]?.upstream.provider ?? 'tollgate',
    })),
  };
}
