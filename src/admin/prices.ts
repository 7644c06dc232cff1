import { z } from 'zod';
import type { AuditEntry, BookPrice, PublishedPrice } from '../catalog/catalog.ts';
import { refusal } from '../domain/errors.ts';
import { type AdminCall, type AdminDependencies, adminCall, type Json, ok } from './admin-call.ts';
import { wholePage } from './pages.ts';
import { rates, ratesJson } from './rates.ts';
import { id, integer, members, must, text } from './validation.ts';

/** So many prices are taken at once: they have to fit into a body and one transaction. */
export const maxPricesPerCall = 500;

const pricesShape = must(`a list of 1 to ${maxPricesPerCall} prices`);
const model = text(256);
const tokens = integer(1, Number.MAX_SAFE_INTEGER).nullish();

/** A price of the price book as it is sent, and as it is answered but for its source. */
export const price = members({
  provider: id,
  model,
  rates,
  max_input_tokens: tokens,
  max_output_tokens: tokens,
});

const newPrices = members({
  /** Who published them, for instance "litellm". */
  source: text(64),
  prices: z.array(price, pricesShape).min(1, pricesShape).max(maxPricesPerCall, pricesShape),
});

type SentPrice = z.output<typeof price>;

/** Prices of the price book: those of models that have no rates of their own, and what providers charge us. */
export function priceCalls({ catalog }: AdminDependencies): readonly AdminCall[] {
  return [
    adminCall({
      method: 'GET',
      path: '/prices',
      query: members({ provider: id.optional() }),
      handle: async ({ query: { provider } }) => {
        const imported = await catalog.listPrices();
        const wanted = imported.filter((it) => provider === undefined || it.provider === provider);
        return wholePage(wanted.map(priceJson));
      },
    }),
    adminCall({
      method: 'GET',
      path: '/prices/{provider}/{+model}',
      params: members({ provider: id, model }),
      handle: async ({ params }) => {
        const found = await catalog.findPrice(params.provider, params.model);
        if (found !== undefined) return ok(priceJson({ ...params, ...found }));
        const message = `The price book has no price of "${params.model}" at ${params.provider}.`;
        return refusal('NOT_FOUND', message);
      },
    }),
    adminCall({
      method: 'POST',
      path: '/prices',
      changesCatalog: true,
      body: newPrices,
      handle: async ({ body, actor }) => {
        const prices = body.prices.map((sent) => publishedPrice(sent, body.source));
        await catalog.putPrices(prices, pricesAudit(actor, body.source, prices));
        return ok({ written: prices.length });
      },
    }),
  ];
}

export function publishedPrice(sent: SentPrice, source: string): PublishedPrice {
  return {
    provider: sent.provider,
    model: sent.model,
    prices: sent.rates,
    maxInputTokens: sent.max_input_tokens ?? null,
    maxOutputTokens: sent.max_output_tokens ?? null,
    source,
  };
}

/** As it is sent; `priceJson` says the source too. */
export function sentPriceJson({ provider, model, ...price }: PublishedPrice) {
  return { provider, model, ...termsJson(price) } satisfies Json;
}

function priceJson({ source, ...price }: PublishedPrice): Json {
  return { ...sentPriceJson({ ...price, source }), source };
}

function termsJson({ prices, maxInputTokens, maxOutputTokens }: Omit<BookPrice, 'source'>) {
  return {
    rates: ratesJson(prices),
    max_input_tokens: maxInputTokens,
    max_output_tokens: maxOutputTokens,
  };
}

/** Prices are overwritten where they are kept: that they once counted is written down here. */
export function pricesAudit(actor: string, source: string, prices: readonly PublishedPrice[]): AuditEntry {
  return {
    actor,
    action: 'price.import',
    subject: source,
    detail: { written: prices.length, prices: prices.map(sentPriceJson) },
  };
}
