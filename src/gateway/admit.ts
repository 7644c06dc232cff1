import type { Model, TenantTerms } from '../catalog/catalog.ts';
import type { DialectRequest } from '../dialects/dialect.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import type { NanoUsd } from '../domain/money.ts';
import {
  affordableOutput,
  type HoldRates,
  holdRates,
  type PriceList,
  worstCharge,
} from '../domain/pricing.ts';
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
  readonly limits: CalledLimits;
  /** Limits of money and of requests a day and a month deny nothing. */
  readonly observe: boolean;
  readonly model: Pick<Model, 'name' | 'maxInputTokens' | 'maxOutputTokens'>;
}

/** The hold is placed. */
export interface Admission {
  readonly kind: 'admission';
  readonly holdAmount: NanoUsd;
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

/**
 * Reserves the worst case. A maximum that the client set stands: what it can't pay is refused. One that
 * it didn't set is what the balance affords, up to the model's own.
 */
export async function admit(
  asked: Asked,
  options: AdmitOptions,
): Promise<Admission | NotAdmitted | AlreadyOpen | Settled | Refusal> {
  const { request, model, tenantId, apiKeyId, traceId, transactionId: holder, limits, observe } = asked;
  const tooLong = promptRefusal(asked);
  if (tooLong !== null) return tooLong;
  const remembered = options.rememberedInput.tokensOf(request.continues, asked.longestPrompt);
  const size = holdSizer(asked, request.estimatedInputTokens + remembered);
  const limit = request.maxOutputTokens ?? model.maxOutputTokens ?? assumedMaximum;
  let output = limit;
  let mayRefresh = true;
  for (let attempt = 1; ; attempt++) {
    const [holdAmount, tokens] = [size.holdOf(output), size.tokensOf(output)];
    const check = { tenantId, apiKeyId, traceId, holder, holdAmount, tokens, limits, observe };
    const answer = await options.tenants.ask(tenantId, () => options.hotState.check(check));
    if (answer.kind === 'admitted') {
      const clampedOutput = output < limit ? output : null;
      const { periodDay, exceeded, remaining } = answer;
      return { kind: 'admission', holdAmount, periodDay, clampedOutput, exceeded, remaining };
    }
    if (answer.kind !== 'denied') return answer;
    const affordable = affordableOutputOf(answer, size);
    const mayClamp = request.maxOutputTokens === null && attempt < maxAttempts;
    if (affordable === null || !mayClamp || affordable < minimumClamp) {
      if (mayRefresh && (await refreshed(answer, tenantId, options))) {
        mayRefresh = false;
        output = limit;
        continue;
      }
      const refused = denial(answer, { holdAmount, tokens, affordable });
      return { kind: 'not_admitted', refusal: refused, remaining: answer.remaining };
    }
    output = Math.min(affordable, limit);
  }
}

/** Output tokens that the limit would let pass; null where fewer of them don't help. */
function affordableOutputOf({ limit, remaining, freesInMs }: Denied, size: HoldSizer): number | null {
  if (limit === 'balance') return size.affordable(remaining.available);
  const isTokens = limit === 'tokens_per_minute' || limit === 'api_key_tokens_per_minute';
  // What only has to wait is not cut short for it.
  if (!isTokens || freesInMs !== null || remaining.tokensPerMinute === null) return null;
  return size.fitting(remaining.tokensPerMinute.limit);
}

const ofTheLedger: ReadonlySet<Limit> = new Set(['balance', 'daily_requests', 'monthly_requests']);

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

interface HoldSizer {
  holdOf(outputTokens: number): NanoUsd;
  /** Input and output at the most. */
  tokensOf(outputTokens: number): number;
  /** Output tokens of each choice that fit into so many in all. */
  fitting(tokens: number): number;
  /** Output tokens of each choice that `available` pays for; null where output is free. */
  affordable(available: NanoUsd): number | null;
}

function holdSizer({ request, prices, otherPrices, terms }: Asked, input: number): HoldSizer {
  const { choices, units, serviceTier } = request;
  const lists = [prices, ...otherPrices.flatMap((other) => other.prices ?? [])];
  const dearest: HoldRates = holdRates(lists, { inputTokens: input, units, serviceTier });
  return {
    holdOf: (output) => worstCharge(input, output * choices, dearest, terms.rateMultiplierPpm),
    tokensOf: (output) => input + output * choices,
    fitting: (tokens) => Math.floor((tokens - input) / choices),
    affordable: (available) => {
      const output = affordableOutput(available, input, dearest, terms.rateMultiplierPpm);
      return output === null ? null : Math.floor(output / choices);
    },
  };
}
