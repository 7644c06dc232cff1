import type { Model, TenantTerms } from '../catalog/catalog.ts';
import type { DialectRequest } from '../dialects/dialect.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { PriceList } from '../domain/pricing.ts';
import type {
  AlreadyOpen,
  CalledLimits,
  Denied,
  HotState,
  Limit,
  Remaining,
  Settled,
} from '../hot-state/hot-state.ts';
import { denial } from './denial.ts';
import {
  expectedOutputTokens,
  growthOf,
  type HoldGrowth,
  type HoldPlan,
  type HoldSizer,
  holdSizer,
} from './hold-size.ts';
import type { RememberedInput } from './remembered-input.ts';
import type { TenantLoader } from './tenant-loader.ts';

export interface AdmitOptions {
  readonly hotState: HotState;
  readonly tenants: TenantLoader;
  readonly rememberedInput: RememberedInput;
}

export interface Asked {
  readonly tenantId: TenantId;
  readonly apiKeyId: ApiKeyId;
  readonly traceId: TraceId;
  readonly transactionId: TransactionId;
  readonly request: DialectRequest;
  readonly longestPrompt: number | null;
  readonly prices: PriceList;
  /** Of models that the request lets the provider use besides. */
  readonly otherPrices: readonly { readonly prices: PriceList | null }[];
  readonly terms: TenantTerms;
  readonly plan: HoldPlan;
  readonly limits: CalledLimits;
  /** Limits of money and of requests a day and a month deny nothing. */
  readonly observe: boolean;
  readonly model: Pick<Model, 'name' | 'maxInputTokens' | 'maxOutputTokens'>;
}

/** The hold is placed. */
export interface Admission {
  readonly kind: 'admission';
  readonly holdAmount: NanoUsd;
  /** Input and output at the most. */
  readonly holdTokens: number;
  readonly growth: HoldGrowth;
  readonly periodDay: string;
  /** Written into the request where the balance affords less than the model could produce. */
  readonly clampedOutput: number | null;
  readonly exceeded: Limit | null;
  readonly remaining: Remaining;
}

/** A refusal by a limit, and what is left. */
export interface NotAdmitted {
  readonly kind: 'not_admitted';
  readonly refusal: Refusal;
  readonly remaining: Remaining;
}

/** A request that sets no maximum, for a model whose own maximum isn't known, is expected to stay below. */
const assumedMaximum = 32_768;

/** An answer is not cut to less than this for want of money: it is refused, and the client can choose. */
const minimumClamp = 256;

/** A concurrent request may take the money between an answer and the next check: so often it is tried. */
const maxAttempts = 4;

/** Tokens of output of each choice. */
interface Sought {
  /** What there can be at most. */
  readonly most: number;
  /** What is held for. */
  readonly held: number;
}

/**
 * Reserves the worst case. A maximum that the client set stands: what it can't pay is refused. One that
 * it didn't set is what the balance affords, and what a limit of tokens can let pass at all, up to the model's own.
 * Where the tenant may overdraw, an expected answer is held for, or what the balance affords of it, and no maximum
 * is touched for want of money.
 */
export async function admit(
  asked: Asked,
  options: AdmitOptions,
): Promise<Admission | NotAdmitted | AlreadyOpen | Settled | Refusal> {
  const { request, plan, tenantId, apiKeyId, traceId, transactionId: holder, limits, observe } = asked;
  const tooLong = promptRefusal(asked);
  if (tooLong !== null) return tooLong;
  const remembered = options.rememberedInput.tokensOf(request.continues, asked.longestPrompt);
  const size = holdSizer(asked, request.estimatedInputTokens + remembered);
  const first = outputOf(asked);
  let sought = first;
  let mayRefresh = true;
  for (let attempt = 1; ; attempt++) {
    const [holdAmount, tokens] = [size.holdOf(sought.held), size.tokensOf(sought.most)];
    const check = { tenantId, apiKeyId, traceId, holder, holdAmount, tokens, limits, observe };
    const asking = options.tenants.ask(tenantId, () => options.hotState.check(check));
    const answer = asking instanceof Promise ? await asking : asking;
    if (answer.kind === 'admitted') {
      const clampedOutput = sought.most < first.most ? sought.most : null;
      const { periodDay, exceeded, remaining } = answer;
      const growth = growthOf(plan, size, sought.most);
      return {
        kind: 'admission',
        holdAmount,
        holdTokens: tokens,
        growth,
        periodDay,
        clampedOutput,
        exceeded,
        remaining,
      };
    }
    if (answer.kind !== 'denied') return answer;
    const less = attempt < maxAttempts ? lessOf(asked, sought, answer, size) : null;
    if (less !== null) {
      sought = less;
      continue;
    }
    if (mayRefresh && (await refreshed(answer, tenantId, options))) {
      mayRefresh = false;
      sought = first;
      continue;
    }
    const spendable = spendableOf(answer);
    const affordable = spendable === null ? null : size.affordable(spendable);
    const refused = denial(answer, { holdAmount, tokens, affordable });
    return { kind: 'not_admitted', refusal: refused, remaining: answer.remaining };
  }
}

function outputOf({ request, model, plan }: Asked): Sought {
  const most = request.maxOutputTokens ?? model.maxOutputTokens ?? assumedMaximum;
  return { most, held: plan.isExpected ? Math.min(most, expectedOutputTokens) : most };
}

/** What of it the limit would let pass; null where nothing less is worth an answer, or no less helps. */
function lessOf(
  { request, plan }: Asked,
  { most, held }: Sought,
  denied: Denied,
  size: HoldSizer,
): Sought | null {
  const mayClamp = request.maxOutputTokens === null;
  const spendable = spendableOf(denied);
  if (spendable !== null) {
    const affordable = size.affordable(spendable);
    if (affordable === null || affordable >= held) return null;
    // Less than expected may be held for whatever the client set: nothing of the request changes.
    if (plan.isExpected) return affordable < Math.min(most, minimumClamp) ? null : { most, held: affordable };
    return mayClamp && affordable >= minimumClamp ? { most: affordable, held: affordable } : null;
  }
  const tokens = tokensLeft(denied);
  if (!mayClamp || tokens === null) return null;
  const fitting = size.fitting(tokens);
  return fitting < minimumClamp || fitting >= most ? null : { most: fitting, held: Math.min(held, fitting) };
}

/** What may be held where money stands in the way: the tenant's, or what the API key may spend of it. */
function spendableOf({ limit, remaining }: Denied): NanoUsd | null {
  if (limit === 'balance') return remaining.available;
  return limit === 'api_key_amount' ? remaining.apiKey.amount : null;
}

/** Tokens of which a shorter answer could still be, where a limit of tokens stands in the way. */
function tokensLeft({ limit, remaining, freesInMs }: Denied): number | null {
  switch (limit) {
    case 'tokens_per_minute':
    case 'api_key_tokens_per_minute':
      // What only has to wait is not cut short for it.
      return freesInMs === null ? (remaining.tokensPerMinute?.limit ?? null) : null;
    case 'api_key_tokens':
      return remaining.apiKey.tokens === null ? null : Number(remaining.apiKey.tokens);
    default:
      return null;
  }
}

const ofTheLedger: ReadonlySet<Limit> = new Set([
  'balance',
  'daily_requests',
  'monthly_requests',
  'api_key_requests',
  'api_key_tokens',
  'api_key_amount',
]);

/** Whether hot state has just been shown the tenant's newest row. A minute's limit stands without the ledger too. */
async function refreshed({ limit }: Denied, tenantId: TenantId, { tenants }: AdmitOptions): Promise<boolean> {
  try {
    return await tenants.refresh(tenantId);
  } catch (error) {
    if (ofTheLedger.has(limit)) throw error;
    return false;
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
