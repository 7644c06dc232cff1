import { serviceTierName } from '../../domain/pricing.ts';
import { asText, type JsonObject } from '../json.ts';

/** Where inference runs at the usual price: anywhere, or on a model for which nobody can choose. */
const usualPlaces: ReadonlySet<string> = new Set(['global', 'not_available']);

function placeOf({ inference_geo: geo }: JsonObject): string | null {
  const place = asText(geo)?.toLowerCase() ?? null;
  return place === null || usualPlaces.has(place) ? null : place;
}

/**
 * The service tier of a request, or of a `usage` object, which name it alike. What changes the price beside
 * the tier is part of its name, so that it can have prices of its own, and is seen where it has none: fast
 * mode, which has no other tier, and the place to which inference is bound ("us", "fast_us").
 */
export function serviceTierOf(told: JsonObject): string | null {
  const tier = told.speed === 'fast' ? 'fast' : asText(told.service_tier);
  const place = placeOf(told);
  if (place === null) return tier;
  const special = serviceTierName(tier);
  return special === null ? place : `${special}_${place}`;
}
