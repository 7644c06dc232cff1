import type { TenantTerms } from '../catalog/catalog.ts';
import type { DialectRequest } from '../dialects/dialect.ts';
import type { NanoUsd } from '../domain/money.ts';
import {
  affordableOutput,
  type HoldRates,
  holdRates,
  type PriceList,
  worstCharge,
} from '../domain/pricing.ts';

/** Whether a tenant may be charged more than its balance and credit limit have: by what it asks for. */
export interface OverdraftPolicy {
  readonly streams: boolean;
  /** What is not a stream. */
  readonly answers: boolean;
}

/** Output of each choice that a request is expected to have, where it need not hold its worst case. */
export const expectedOutputTokens = 1024;

/** A growing hold is about so much output ahead of what is metered, and no stream goes further beyond its hold. */
export const stepTokens = 512;

/** How much is held at first. */
export interface HoldPlan {
  readonly mayOverdraw: boolean;
  /** Whether an expected output is held for, and not the most that there can be. */
  readonly isExpected: boolean;
  /** Want of money stops nothing. */
  readonly isUnbounded: boolean;
}

/** What a hold may become while its request runs. */
export interface HoldGrowth {
  readonly mayOverdraw: boolean;
  /** Want of money stops nothing. */
  readonly isUnbounded: boolean;
  /** The most that the request can cost, as far as that is known beforehand. */
  readonly worstAmount: NanoUsd;
  /** The price of a step. */
  readonly stepAmount: NanoUsd;
}

export interface PlannedRequest {
  readonly request: Pick<DialectRequest, 'stream'>;
  readonly terms: TenantTerms;
  /** Whether one of its models may generate more than it shows. */
  readonly mayHideOutput: boolean;
  /** Limits of money deny nothing. */
  readonly observe: boolean;
}

/**
 * What reasons unseen shows what it cost only at its end, when no hold can follow it any more: it holds its
 * worst case, in which every provider's maximum includes the reasoning.
 */
export function holdPlan(
  { request, terms, mayHideOutput, observe }: PlannedRequest,
  policy: OverdraftPolicy,
): HoldPlan {
  const mayOverdraw = request.stream
    ? (terms.streamAllowNegative ?? policy.streams)
    : (terms.allowNegative ?? policy.answers);
  const isExpected = mayOverdraw && !(request.stream && mayHideOutput);
  return { mayOverdraw: mayOverdraw || observe, isExpected, isUnbounded: observe };
}

export interface HoldSizer {
  holdOf(outputTokens: number): NanoUsd;
  /** Input and output at the most. */
  tokensOf(outputTokens: number): number;
  /** Output tokens of each choice that fit into so many in all. */
  fitting(tokens: number): number;
  /** Output tokens of each choice that `available` pays for; null where output is free. */
  affordable(available: NanoUsd): number | null;
  readonly stepAmount: NanoUsd;
}

export interface SizedRequest {
  readonly request: Pick<DialectRequest, 'choices' | 'units' | 'serviceTier'>;
  readonly prices: PriceList;
  /** Of models that the request lets the provider use besides. */
  readonly otherPrices: readonly { readonly prices: PriceList | null }[];
  readonly terms: Pick<TenantTerms, 'rateMultiplierPpm'>;
}

/** @param input upper estimate of the prompt's tokens */
export function holdSizer({ request, prices, otherPrices, terms }: SizedRequest, input: number): HoldSizer {
  const { choices, units, serviceTier } = request;
  const { rateMultiplierPpm } = terms;
  const lists = [prices];
  for (const other of otherPrices) if (other.prices !== null) lists.push(other.prices);
  const dearest: HoldRates = holdRates(lists, { inputTokens: input, units, serviceTier });
  return {
    holdOf: (output) => worstCharge(input, output * choices, dearest, rateMultiplierPpm),
    tokensOf: (output) => input + output * choices,
    fitting: (tokens) => Math.floor((tokens - input) / choices),
    affordable: (available) => {
      const output = affordableOutput(available, input, dearest, rateMultiplierPpm);
      return output === null ? null : Math.floor(output / choices);
    },
    stepAmount: worstCharge(0, stepTokens, { ...dearest, fixed: 0n }, rateMultiplierPpm),
  };
}

/** @param mostOutput tokens of each choice that there can be at most */
export function growthOf(
  { mayOverdraw, isUnbounded }: HoldPlan,
  size: HoldSizer,
  mostOutput: number,
): HoldGrowth {
  return { mayOverdraw, isUnbounded, worstAmount: size.holdOf(mostOutput), stepAmount: size.stepAmount };
}
