import type { Catalog } from '../catalog/catalog.ts';
import type { ClientCall, Dialect, DialectRequest } from '../dialects/dialect.ts';
import { ByteBudget } from '../domain/byte-budget.ts';
import type { Clock, Timers } from '../domain/clock.ts';
import { type ErrorCode, type Refusal, refusal, refusalOf } from '../domain/errors.ts';
import { hashRequest, type IdSource, type RequestHash, type TransactionId } from '../domain/ids.ts';
import { Roster } from '../domain/roster.ts';
import { withoutSecrets } from '../domain/secret-parameters.ts';
import type { HotState } from '../hot-state/hot-state.ts';
import type { Lease } from '../ledger/instances.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Observer } from '../observability/observer.ts';
import { inSpan, type RequestSpans } from '../observability/tracer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { UpstreamClient } from '../upstream/upstream.ts';
import { type Asked, admit } from './admit.ts';
import { type Authenticated, authenticate } from './authenticate.ts';
import { calledLimits } from './called-limits.ts';
import { type Checkpoints, createCheckpoints } from './checkpoints.ts';
import { createSettlements, type Settlements } from './commit.ts';
import { HiddenOutput } from './hidden-output.ts';
import { holdPlan, type OverdraftPolicy } from './hold-size.ts';
import type { OpenRequest } from './open-request.ts';
import { pricesOfOthers } from './other-prices.ts';
import { passFree } from './pass-free.ts';
import { Progress } from './progress.ts';
import { rateHeaders } from './rate-headers.ts';
import { RememberedInput } from './remembered-input.ts';
import type { Client, GatewayRequest } from './request.ts';
import { type Resolved, resolve } from './resolve.ts';
import { type Cuts, run } from './run.ts';
import { inSession } from './session.ts';
import { createTenantLoader, type TenantLoader } from './tenant-loader.ts';
import { type Trace, takenRefusal, traceOf } from './trace.ts';
import { unknownMemberRefusal } from './unknown-members.ts';

export interface PipelineOptions {
  readonly catalog: Catalog;
  readonly hotState: HotState;
  readonly ledger: Ledger;
  readonly upstreams: UpstreamClient;
  /** What a stored credential stands for; null where it stands for nothing. */
  readonly readCredential: (stored: string) => string | null;
  readonly tokenizer: Tokenizer;
  readonly observer: Observer;
  readonly clock: Clock & Timers;
  readonly newId: IdSource;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** What this process opens is its own as long as its lease is valid. */
  readonly lease: Lease;
  /** Whether limits of money and of requests a day and a month deny, where the tenant's terms don't say. */
  readonly blockOnInsufficient?: boolean;
  /** For tenants whose terms don't say. */
  readonly overdraft?: OverdraftPolicy;
  readonly maxAnswerBytes?: number;
  /** Of all answers that are read as a whole. */
  readonly answers?: ByteBudget;
  readonly commitWaitMs?: number;
  /** How long a request waits for the one before it in its session. */
  readonly sessionWaitMs?: number;
  readonly pendingTtlMs?: number;
}

/** No request takes longer. */
export const usualPendingTtlMs = 60 * 60_000;

/** The way of a request: authenticate, resolve, admit, forward, meter, commit, respond. */
export interface Pipeline {
  /** Answers one request, whatever happens: it never rejects. */
  serve(request: GatewayRequest, client: Client): Promise<void>;
  /** Resolves when every request that was begun has been answered and settled. */
  idle(): Promise<void>;
  /** Requests that are being answered, and settlements that go on behind them. */
  readonly inFlight: number;
  /** Ends every exchange that still runs: streams are told so, and charged for what was delivered. */
  cut(): void;
  /** Whether a transaction is being worked on here. */
  isRunning(transactionId: TransactionId): boolean;
}

type Options = Required<PipelineOptions> & {
  readonly settlements: Settlements;
  readonly tenants: TenantLoader;
  readonly rememberedInput: RememberedInput;
  readonly hiddenOutput: HiddenOutput;
  readonly checkpoints: Checkpoints;
  /** Open here. */
  readonly running: Set<TransactionId>;
  readonly cuts: Cuts;
};

export function createPipeline(given: PipelineOptions): Pipeline {
  const settlements = createSettlements(given);
  const options: Options = {
    blockOnInsufficient: true,
    overdraft: { streams: true, answers: false },
    maxAnswerBytes: 64 * 1024 * 1024,
    answers: new ByteBudget(256 * 1024 * 1024),
    commitWaitMs: 5_000,
    sessionWaitMs: 10_000,
    pendingTtlMs: usualPendingTtlMs,
    ...given,
    settlements,
    tenants: createTenantLoader(given),
    rememberedInput: new RememberedInput(),
    hiddenOutput: new HiddenOutput(),
    checkpoints: createCheckpoints(given),
    running: new Set(),
    cuts: { isCut: false, ends: new Roster() },
  };
  const serving = new Roster<Promise<void>>();
  return {
    serve: (request, client) => {
      const served = serve(request, client, options);
      const place = serving.enter(served);
      const end = () => serving.leave(served, place);
      served.then(end, end);
      return served;
    },
    idle: async () => {
      while (serving.size > 0) await Promise.allSettled(serving.all());
      await settlements.idle();
    },
    cut: () => {
      options.cuts.isCut = true;
      for (const end of options.cuts.ends.all()) end();
    },
    isRunning: (transactionId) => options.running.has(transactionId) || settlements.isSettling(transactionId),
    get inFlight() {
      return serving.size + settlements.open;
    },
  };
}

async function serve(request: GatewayRequest, client: Client, options: Options): Promise<void> {
  const progress = new Progress(options.clock, request.arrivedAtMs, request.spans);
  try {
    const refused = await answer(request, client, progress, options);
    if (refused !== null) refuse(client, progress, refused);
  } catch (error) {
    options.observer.fault('serving a request', error, progress.traceId);
    request.spans?.failed(error);
    if (progress.answering) client.abandon();
    else refuse(client, progress, refusalOf(error, internal));
  } finally {
    const summary = progress.summary();
    request.spans?.summarised(summary);
    options.observer.requestEnded(summary);
  }
}

const internal = 'Something went wrong in the gateway. It was logged under this request id.';

function refuse(client: Client, progress: Progress, refused: Refusal): void {
  progress.refused(refused.code);
  if (client.gone.aborted) return;
  client.start({ kind: 'refusal', refusal: refused, headers: progress.ownHeaders() });
  client.end();
}

/** What tells a repeat from another request. The path tells only where a part of it is the client's choice. */
function requestHashOf({ name, paths }: Dialect, { path, query, body }: ClientCall): RequestHash {
  const parameters = query.size === 0 ? query : withoutSecrets(query);
  const isFixed = paths.includes(path) && parameters.size === 0;
  return isFixed ? hashRequest(name, body) : hashRequest(name, path, parameters.toString(), body);
}

/** The steps in their order. A refusal is what the client gets; null: it has its answer. */
async function answer(
  incoming: GatewayRequest,
  client: Client,
  progress: Progress,
  options: Options,
): Promise<Refusal | null> {
  const { dialect, headers, call } = incoming;
  const trace = traceOf(headers, options.newId);
  if (trace.kind === 'refused') return trace;
  progress.traced(trace.traceId);

  const known = authenticate(incoming, options);
  const caller = known instanceof Promise ? await known : known;
  if (caller.kind === 'refused') return caller;
  const { apiKey } = caller;
  progress.authenticated(apiKey.tenantId, apiKey.id);

  const request = dialect.readRequest(call);
  if (request.kind === 'refused') return request;
  progress.asked(request.model, request.stream);

  const resolving = resolve(apiKey, request, dialect.name, options);
  const resolved = resolving instanceof Promise ? await resolving : resolving;
  if (resolved.kind === 'refused') return resolved;
  const { targets } = resolved;
  const unknown = unknownMemberRefusal(request, targets);
  if (unknown !== null) return unknown;
  if (request.isFree)
    return await passFree({ dialect, headers, request, targets, client, progress }, options);

  const transactionId = options.newId() as TransactionId;
  const asked = { incoming, client, progress, trace, caller, request, resolved, transactionId };
  options.running.add(transactionId);
  try {
    return await inSession({ ...apiKey, transactionId, headers, client }, options, () =>
      bill(asked, options),
    );
  } finally {
    options.running.delete(transactionId);
  }
}

const overdueRefusal = refusal(
  'LEDGER_UNAVAILABLE',
  'The ledger does not take the charge of an earlier request. Nothing was charged for this one; try again.',
);

/** What could not be decided is told with its code too. */
async function checked(asked: Asked, options: Options, spans: RequestSpans | null): ReturnType<typeof admit> {
  const { clock, observer } = options;
  const startedAtMs = clock.monotonic();
  const tell = (refusedWith: ErrorCode | null) =>
    observer.quotaChecked({ refusedWith, durationMs: clock.monotonic() - startedAtMs });
  try {
    const answer = await inSpan(spans, 'admission', () => admit(asked, options));
    if (answer.kind === 'admission') tell(null);
    else if (answer.kind === 'not_admitted') tell(answer.refusal.code);
    return answer;
  } catch (error) {
    tell(refusalOf(error, internal).code);
    throw error;
  }
}

/** A request that costs something, and that is in order. */
interface BillableRequest {
  readonly incoming: GatewayRequest;
  readonly client: Client;
  readonly progress: Progress;
  readonly trace: Trace;
  readonly caller: Authenticated;
  readonly request: DialectRequest;
  readonly resolved: Resolved;
  readonly transactionId: TransactionId;
}

async function bill(asked: BillableRequest, options: Options): Promise<Refusal | null> {
  const { incoming, client, progress, trace, caller, request, resolved, transactionId } = asked;
  const { dialect, headers, call } = incoming;
  const { apiKey, terms } = caller;
  const { prices, longestPrompt, model, targets } = resolved;
  const { tenantId, id: apiKeyId } = apiKey;
  const { traceId } = trace;
  const requestHash = requestHashOf(dialect, call);
  const known = trace.fromClient ? await options.ledger.findByTrace(tenantId, traceId) : undefined;
  if (known !== undefined) return takenRefusal(known, requestHash);
  if (options.settlements.isOverdue(tenantId)) return overdueRefusal;

  const others = [...new Set(request.otherModels)].map((name) => ({ model: name, usage: {} }));
  const found = pricesOfOthers(others, targets[0].upstream.provider, options);
  const otherPrices = found instanceof Promise ? await found : found;
  const limits = calledLimits(apiKey, terms);
  const observe = !(terms.blockOnInsufficient ?? options.blockOnInsufficient);
  const mayHideOutput = targets.some(({ route }) => options.hiddenOutput.mayHide(route.upstreamModel));
  const plan = holdPlan({ request, terms, mayHideOutput, observe }, options.overdraft);
  const admission = await checked(
    {
      tenantId,
      apiKeyId,
      traceId,
      transactionId,
      request,
      prices,
      otherPrices,
      longestPrompt,
      terms,
      plan,
      model,
      limits,
      observe,
    },
    options,
    progress.spans,
  );
  if (admission.kind === 'refused') return admission;
  if (admission.kind === 'already_open' || admission.kind === 'settled') {
    return takenRefusal(await options.ledger.findByTrace(tenantId, traceId), requestHash);
  }

  const exceeded = admission.kind === 'admission' ? admission.exceeded : null;
  progress.limited(rateHeaders(admission.remaining, dialect.name, options.clock.now()), exceeded);
  if (admission.kind === 'not_admitted') return admission.refusal;

  const open: OpenRequest = {
    transactionId,
    tenantId,
    apiKeyId,
    traceId,
    requestHash,
    holdAmount: admission.holdAmount,
    holdTokens: admission.holdTokens,
    growth: admission.growth,
    periodDay: admission.periodDay,
    model: model.name,
    provider: targets[0].upstream.provider,
    prices,
    terms,
    observe,
    owner: options.lease.owner,
  };
  const { clampedOutput } = admission;
  const { fromClient } = trace;
  return await run(
    { open, dialect, headers, request, targets, clampedOutput, mayBeRepeated: fromClient, client, progress },
    options,
  );
}
