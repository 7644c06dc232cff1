import { amountOf, type Charge, type ChargeLine } from './charge.ts';
import type { NanoUsd, Rate } from './money.ts';
import type { UsageClass } from './usage.ts';

/** How a charge came about, kept with its transaction: whoever has it can do the sum again by hand. */
export interface Receipt {
  readonly lines: readonly ChargeLine[];
  /** The bound of the price tier by the prompt's length; null: below all of them. */
  readonly aboveInputTokens: number | null;
  /** What served it; null where it was the standard service tier. */
  readonly serviceTier: string | null;
  readonly serviceTierIsPriced: boolean;
  /** What the provider itself says that it charges us; null where it doesn't. */
  readonly statedCost: NanoUsd | null;
  /** The provider's usage object as it came, with what no class knows; null where there is none. */
  readonly reported: unknown;
}

/** The charge that a receipt explains. */
export function receiptAmount({ lines }: Receipt, multiplierPpm: bigint): NanoUsd {
  return amountOf(lines, multiplierPpm);
}

export function receiptOf(
  { lines, aboveInputTokens, serviceTier, serviceTierIsPriced }: Charge,
  said: Pick<Receipt, 'statedCost' | 'reported'>,
): Receipt {
  return { lines, aboveInputTokens, serviceTier, serviceTierIsPriced, ...said };
}

interface LineJson {
  readonly class: string;
  readonly units: number;
  readonly rate: string | null;
  readonly charged_as?: string | null;
  readonly model?: string;
}

/** As it is stored: rates and amounts are integers as strings, in nano. */
export interface ReceiptJson {
  readonly lines: readonly LineJson[];
  readonly above_input_tokens?: number;
  readonly service_tier?: string;
  readonly service_tier_unpriced?: true;
  readonly stated_cost?: string;
  readonly reported?: unknown;
}

/** What is as usual is left out: there is a receipt for every request. */
export function encodeReceipt(receipt: Receipt): ReceiptJson {
  const { lines, aboveInputTokens, serviceTier, serviceTierIsPriced, statedCost, reported } = receipt;
  return {
    lines: lines.map(({ usageClass, units, rate, chargedAs, model }) => ({
      class: usageClass,
      units,
      rate: rate === null ? null : rate.toString(),
      ...(chargedAs === usageClass ? {} : { charged_as: chargedAs }),
      ...(model === null ? {} : { model }),
    })),
    ...(aboveInputTokens === null ? {} : { above_input_tokens: aboveInputTokens }),
    ...(serviceTier === null ? {} : { service_tier: serviceTier }),
    ...(serviceTierIsPriced ? {} : { service_tier_unpriced: true as const }),
    ...(statedCost === null ? {} : { stated_cost: statedCost.toString() }),
    ...(reported === null || reported === undefined ? {} : { reported }),
  };
}

export function decodeReceipt(json: ReceiptJson): Receipt {
  return {
    lines: json.lines.map(
      ({ class: usageClass, units, rate, charged_as: chargedAs = usageClass, model }) => ({
        usageClass,
        units,
        rate: rate === null ? null : (BigInt(rate) as Rate),
        chargedAs: chargedAs as UsageClass | null,
        model: model ?? null,
      }),
    ),
    aboveInputTokens: json.above_input_tokens ?? null,
    serviceTier: json.service_tier ?? null,
    serviceTierIsPriced: json.service_tier_unpriced !== true,
    statedCost: json.stated_cost === undefined ? null : (BigInt(json.stated_cost) as NanoUsd),
    reported: json.reported ?? null,
  };
}
