import type { Model, TenantTerms } from '../catalog/catalog.ts';
import type { DialectRequest } from '../dialects/dialect.ts';
import type { Clock } from '../domain/clock.ts';
import { type Refusal, refusal, unreachable } from '../domain/errors.ts';
import type { TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { formatAmount, type NanoUsd } from '../domain/money.ts';
import type { PriceList } from '../domain/pricing.ts';
import type { AlreadyOpen, Denied, HotState, Settled } from '../hot-state/hot-state.ts';
import { expectedOutputTokens, growthOf, type HoldGrowth, type HoldPlan, holdSizer } from './hold-size.ts';
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
  readonly plan: HoldPlan;
  readonly model: Pick<Model, 'name' | 'maxInputTokens' | 'maxOutputTokens'>;
}

/** The hold is placed. */
export interface Admission {
  readonly kind: 'admission';
  readonly holdAmount: NanoUsd;
  readonly growth: HoldGrowth;
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
 * it didn't set is what the balance affords, up to the model's own. Where the tenant may overdraw, an expected
 * answer is reserved, or what the balance affords of it, and no maximum is touched.
 */
export async function admit(
  asked: Asked,
  options: AdmitOptions,
): Promise<Admission | AlreadyOpen | Settled | Refusal> {
  const { request, plan, tenantId, traceId, transactionId: holder } = asked;
  const tooLong = promptRefusal(asked);
  if (tooLong !== null) return tooLong;
  const remembered = options.rememberedInput.tokensOf(request.continues, asked.longestPrompt);
  const size = holdSizer(asked, request.estimatedInputTokens + remembered);
  const { limit, wanted, least } = outputOf(asked);
  let output = wanted;
  let mayRefresh = true;
  for (let attempt = 1; ; attempt++) {
    const holdAmount = size.holdOf(output);
    const answer = await options.tenants.ask(tenantId, () =>
      options.hotState.check({ tenantId, traceId, holder, holdAmount }),
    );
    if (answer.kind === 'admitted') {
      const clampedOutput = !plan.isExpected && output < limit ? output : null;
      const growth = growthOf(plan, size, clampedOutput ?? limit);
      return { kind: 'admission', holdAmount, growth, periodDay: answer.periodDay, clampedOutput };
    }
    if (answer.kind !== 'denied') return answer;
    const affordable = answer.limit === 'balance' ? size.affordable(answer.remaining.available) : null;
    if (affordable === null || affordable < least || attempt === maxAttempts) {
      if (mayRefresh && (await options.tenants.refresh(tenantId))) {
        mayRefresh = false;
        output = wanted;
        continue;
      }
      return denial(answer, holdAmount, affordable, options.clock.now());
    }
    output = Math.min(affordable, wanted);
  }
}

/** Tokens of output: what there can be at most, what is held for, and the least that is worth an answer. */
function outputOf({ request, model, plan }: Asked) {
  const limit = request.maxOutputTokens ?? model.maxOutputTokens ?? assumedMaximum;
  if (plan.isExpected) {
    return {
      limit,
      wanted: Math.min(limit, expectedOutputTokens),
      least: Math.min(limit, minimumClamp),
    };
  }
  return { limit, wanted: limit, least: request.maxOutputTokens === null ? minimumClamp : limit };
}

function promptRefusal({ request, model }: Asked): Refusal | null {
  const { name, maxInputTokens } = model;
  if (maxInputTokens === null || request.estimatedInputTokens <= maxInputTokens) return null;
  const message =
    `The prompt may be ${request.estimatedInputTokens} tokens long, and "${name}" is served and priced here ` +
    `for prompts of up to ${maxInputTokens}. Nothing was charged: send a shorter one.`;
  return refusal('REQUEST_TOO_LARGE', message, { param: 'messages' });
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
