import type { Model, TenantTerms } from '../catalog/catalog.ts';
import type { DialectRequest } from '../dialects/dialect.ts';
import type { Clock } from '../domain/clock.ts';
import { type Refusal, refusal, unreachable } from '../domain/errors.ts';
import type { TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { formatAmount, type NanoUsd } from '../domain/money.ts';
import {
  affordableOutput,
  type HoldRates,
  holdRates,
  type PriceList,
  worstCharge,
} from '../domain/pricing.ts';
import type { AlreadyOpen, Denied, HotState, Settled } from '../hot-state/hot-state.ts';
import type { RememberedInput } from './remembered-input.ts';
import type { TenantLoader } from './tenant-loader.ts';

export interface AdmitOptions {
  readonly hotState: HotState;
  readonly tenants: TenantLoader;
  readonly clock: Clock;
  readonly rememberedInput: RememberedInput;
}

export interface Asked {
  readonly tenantId: TenantId;
  readonly traceId: TraceId;
  readonly transactionId: TransactionId;
  readonly request: DialectRequest;
  readonly longestPrompt: number | null;
  readonly prices: PriceList;
  /** Of models that the request lets the provider use besides. */
  readonly otherPrices: readonly { readonly prices: PriceList | null }[];
  readonly terms: TenantTerms;
  readonly model: Pick<Model, 'name' | 'maxInputTokens' | 'maxOutputTokens'>;
}

/** The hold is placed. */
export interface Admission {
  readonly kind: 'admission';
  readonly holdAmount: NanoUsd;
  readonly periodDay: string;
  /** Written into the request where the balance affords less than the model could produce. */
  readonly clampedOutput: number | null;
}

/** A request that sets no maximum, for a model whose own maximum isn't known, is expected to stay below. */
const assumedMaximum = 32_768;

/** An answer is not cut to less than this for want of money: it is refused, and the client can choose. */
const minimumClamp = 256;

/** A concurrent request may take the money between an answer and the next check: so often it is tried. */
const maxAttempts = 4;

/**
 * Reserves the worst case. A maximum that the client set stands: what it can't pay is refused. One that
 * it didn't set is what the balance affords, up to the model's own.
 */
export async function admit(
  asked: Asked,
  options: AdmitOptions,
): Promise<Admission | AlreadyOpen | Settled | Refusal> {
  const { request, model, tenantId, traceId, transactionId: holder } = asked;
  const tooLong = promptRefusal(asked);
  if (tooLong !== null) return tooLong;
  const remembered = options.rememberedInput.tokensOf(request.continues, asked.longestPrompt);
  const size = holdSizer(asked, request.estimatedInputTokens + remembered);
  const limit = request.maxOutputTokens ?? model.maxOutputTokens ?? assumedMaximum;
  let output = limit;
  let mayRefresh = true;
  for (let attempt = 1; ; attempt++) {
    const holdAmount = size.holdOf(output);
    const answer = await options.tenants.ask(tenantId, () =>
      options.hotState.check({ tenantId, traceId, holder, holdAmount }),
    );
    if (answer.kind === 'admitted') {
      const clampedOutput = output < limit ? output : null;
      return { kind: 'admission', holdAmount, periodDay: answer.periodDay, clampedOutput };
    }
    if (answer.kind !== 'denied') return answer;
    const affordable = answer.limit === 'balance' ? size.affordable(answer.remaining.available) : null;
    const mayClamp = request.maxOutputTokens === null && attempt < maxAttempts;
    if (affordable === null || !mayClamp || affordable < minimumClamp) {
      if (mayRefresh && (await options.tenants.refresh(tenantId))) {
        mayRefresh = false;
        output = limit;
        continue;
      }
      return denial(answer, holdAmount, affordable, options.clock.now());
    }
    output = Math.min(affordable, limit);
  }
}

function promptRefusal({ request, model }: Asked): Refusal | null {
  const { name, maxInputTokens } = model;
  if (maxInputTokens === null || request.estimatedInputTokens <= maxInputTokens) return null;
  const message =
    `The prompt may be ${request.estimatedInputTokens} tokens long, and "${name}" is served and priced here ` +
    `for prompts of up to ${maxInputTokens}. Nothing was charged: send a shorter one.`;
  return refusal('REQUEST_TOO_LARGE', message, { param: 'messages' });
}

interface HoldSizer {
  holdOf(outputTokens: number): NanoUsd;
  /** Output tokens of each choice that `available` pays for; null where output is free. */
  affordable(available: NanoUsd): number | null;
}

function holdSizer({ request, prices, otherPrices, terms }: Asked, input: number): HoldSizer {
  const { choices, units, serviceTier } = request;
  const lists = [prices, ...otherPrices.flatMap((other) => other.prices ?? [])];
  const dearest: HoldRates = holdRates(lists, { inputTokens: input, units, serviceTier });
  return {
    holdOf: (output) => worstCharge(input, output * choices, dearest, terms.rateMultiplierPpm),
    affordable: (available) => {
      const output = affordableOutput(available, input, dearest, terms.rateMultiplierPpm);
      return output === null ? null : Math.floor(output / choices);
    },
  };
}

/** Why a limit stands in the way, for the client. */
export function denial(
  { limit, remaining, freesAtMs }: Denied,
  holdAmount: NanoUsd,
  affordable: number | null,
  nowMs: number,
): Refusal {
  const retry =
    freesAtMs === null ? {} : { retryAfterSeconds: Math.max(1, Math.ceil((freesAtMs - nowMs) / 1000)) };
  switch (limit) {
    case 'balance':
      return refusal('QUOTA_BALANCE_EXCEEDED', balanceMessage(remaining.available, holdAmount, affordable));
    case 'daily_requests':
      return refusal(
        'QUOTA_DAILY_EXCEEDED',
        "The day's requests are used up. Nothing was charged; they begin anew at midnight.",
        retry,
      );
    case 'monthly_requests':
      return refusal(
        'QUOTA_MONTHLY_EXCEEDED',
        "The month's requests are used up. Nothing was charged; they begin anew with the month.",
        retry,
      );
    default:
      return unreachable(limit);
  }
}

function balanceMessage(available: NanoUsd, holdAmount: NanoUsd, affordable: number | null): string {
  const advice =
    affordable === null || affordable <= 0
      ? 'Top up the balance.'
      : `Ask for at most ${affordable} output tokens, or top up the balance.`;
  return (
    `This request may cost up to ${formatAmount(holdAmount)}, and ${formatAmount(available)} is available ` +
    `(affordable output tokens: ${Math.max(0, affordable ?? 0)}). Nothing was charged. ${advice}`
  );
}
