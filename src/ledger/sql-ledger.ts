import type { Kysely } from 'kysely';
import { type Clock, systemClock, type Timers } from '../domain/clock.ts';
import type { TenantId, TransactionId } from '../domain/ids.ts';
import { type NanoUsd, parseAmount } from '../domain/money.ts';
import type { Transaction } from '../domain/transaction.ts';
import type { WrittenBatch } from '../observability/observer.ts';
import { checkpointWriter, commitWriter, voidWriter } from './closing-writers.ts';
import { type Driver, SqlError, uniqueViolation } from './drivers/driver.ts';
import { GroupCommit } from './group-commit.ts';
import type {
  AlreadyReversed,
  Ledger,
  LimitChanges,
  LimitsChanged,
  NotReversible,
  OpenPending,
  PostedNow,
  Reversal,
  TransactionFilter,
  UnknownTenant,
  UnknownTransaction,
} from './ledger.ts';
import {
  type ApiKeyQuotaJson,
  amountParameter,
  decodeProjection,
  decodeTransaction,
  type QuotaRow,
  quotaParameter,
  type TransactionRow,
} from './rows.ts';
import type { Schema } from './schema.ts';
import { readStatements } from './sql/statements.ts';
import { findByTraces, pendingWriter, postedNow, postWriter, repeated } from './writers.ts';

export interface SqlLedgerOptions {
  readonly driver: Driver;
  /** The largest number of rows in one statement. */
  readonly maxBatch?: number;
  /** How many new transactions may wait in a lane before more are refused as OVERLOADED. */
  readonly maxQueue?: number;
  /** Tells how long a batch waited and was written. */
  readonly clock?: Clock & Timers;
  /** Told of every batch of the group commit. */
  readonly onBatch?: (batch: WrittenBatch) => void;
}

interface CountersRow extends QuotaRow {
  readonly api_key_quotas: readonly ApiKeyQuotaJson[] | null;
}

interface SnapshotRow extends CountersRow {
  readonly warning_thresholds: readonly number[] | null;
  readonly open_pendings: readonly {
    readonly id: string;
    readonly api_key_id: string;
    readonly trace_id: string;
    readonly hold_amount: string;
    readonly hold_tokens: number | null;
    readonly period_day: string;
  }[];
}

/** Tells how full it is besides. */
export interface QueuedLedger extends Ledger {
  /** Of new transactions, in the fullest lane. */
  readonly queue: { used(): number; readonly limit: number };
}

/** The ledger on any SQL engine that has a driver. */
export function createSqlLedger(options: SqlLedgerOptions): QueuedLedger {
  const { driver, maxBatch = 500, maxQueue = 10_000, clock = systemClock, onBatch = null } = options;
  const access = { driver, statements: readStatements() };
  const { statements } = access;
  const lanes = new GroupCommit({ lanes: driver.parallelism, maxBatch, maxQueue, clock, onBatch });
  const pendings = pendingWriter(access);
  const commits = commitWriter(access);
  const voids = voidWriter(access);
  const checkpoints = checkpointWriter(access);
  const posts = postWriter(access);

  const findById = async (id: TransactionId) => {
    const row = await driver.db
      .selectFrom('billing_transaction')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    return row === undefined ? undefined : decodeTransaction(row);
  };

  return {
    queue: { used: () => lanes.fullest(), limit: maxQueue },
    createPending: (draft) => lanes.submit(pendings, draft),
    commitPending: (commit) => lanes.submit(commits, commit),
    voidPending: (close) => lanes.submit(voids, close),
    checkpoint: (checkpoint) => lanes.submit(checkpoints, checkpoint),
    deduct: (deduction) => lanes.submit(posts, { ...deduction, type: 'CHARGE' }),
    credit: (topUp) =>
      lanes.submit(posts, { ...topUp, apiKeyId: null, metered: null, model: null, periodDay: null }),

    reverse: async (reversal) => {
      const row = await postRefund(driver, statements.reverse, reversal);
      if (row !== undefined) return decodeRefund(row);
      const existing = (await findByTraces(access, [reversal])).values().next().value;
      if (existing !== undefined) {
        const answer = repeated(existing, reversal.requestHash);
        if (answer.kind !== 'unknown_tenant') return answer;
      }
      return await whyNotReversed(await findById(reversal.transactionId), reversal.tenantId, findById);
    },

    changeLimits: async (tenantId, changes) => {
      const [row] = await driver.query<QuotaRow>(statements.changeLimits, [
        tenantId,
        ...limitParameters(changes),
      ]);
      return row === undefined
        ? { kind: 'unknown_tenant' }
        : { kind: 'changed', projection: decodeProjection(row, null) };
    },

    setApiKeyQuotas: async (tenantId, apiKeyId, quotas) =>
      await changeCounters(driver, statements.setApiKeyQuotas, [
        tenantId,
        apiKeyId,
        quotas.map(({ quotaType }) => quotaType),
        quotas.map(({ resetPeriod }) => resetPeriod),
        quotas.map(({ quotaType, total }) => quotaParameter(quotaType, total)),
      ]),

    resetCounters: async (tenantId, { daily, monthly, apiKeyQuotas }) =>
      await changeCounters(driver, statements.resetCounters, [
        tenantId,
        daily,
        monthly,
        apiKeyQuotas.map(({ apiKeyId }) => apiKeyId),
        apiKeyQuotas.map(({ quotaType }) => quotaType),
        apiKeyQuotas.map(({ resetPeriod }) => resetPeriod),
      ]),

    snapshot: async (tenantId) => {
      const [row] = await driver.query<SnapshotRow>(statements.snapshot, [tenantId]);
      if (row === undefined) return { kind: 'unknown_tenant' };
      const openPendings = row.open_pendings.map(
        (pending): OpenPending => ({
          transactionId: pending.id as OpenPending['transactionId'],
          apiKeyId: pending.api_key_id as OpenPending['apiKeyId'],
          traceId: pending.trace_id as OpenPending['traceId'],
          holdAmount: parseAmount(pending.hold_amount),
          // A row of a version that did not say.
          holdTokens: pending.hold_tokens ?? 0,
          periodDay: pending.period_day,
        }),
      );
      return {
        kind: 'snapshot',
        projection: decodeProjection(row, row.api_key_quotas),
        openPendings,
        warningThresholds: row.warning_thresholds,
      };
    },

    findByTrace: async (tenantId, traceId) =>
      (await findByTraces(access, [{ tenantId, traceId }])).values().next().value,
    findById,
    list: async (filter) => (await listRows(driver.db, filter)).map(decodeTransaction),
  };
}

async function changeCounters(
  driver: Driver,
  statement: string,
  parameters: readonly unknown[],
): Promise<LimitsChanged | UnknownTenant> {
  const [row] = await driver.query<CountersRow>(statement, [...parameters]);
  return row === undefined
    ? { kind: 'unknown_tenant' }
    : { kind: 'changed', projection: decodeProjection(row, row.api_key_quotas) };
}

function decodeRefund(row: TransactionRow & QuotaRow): PostedNow {
  const transaction = decodeTransaction(row);
  if (transaction.status !== 'COMMITTED')
    throw new Error(`transaction ${row.id} was posted, yet is ${row.status}`);
  return postedNow(transaction, decodeProjection(row, null));
}

async function postRefund(
  driver: Driver,
  statement: string,
  reversal: Reversal,
): Promise<(TransactionRow & QuotaRow) | undefined> {
  const { tenantId, transactionId, id, traceId, requestHash, description } = reversal;
  const parameters = [tenantId, transactionId, id, traceId, requestHash, description];
  try {
    const [row] = await driver.query<TransactionRow & QuotaRow>(statement, parameters);
    return row;
  } catch (error) {
    // The trace id is taken: what took it tells whether this is a repeat or a conflict.
    if (error instanceof SqlError && error.sqlState === uniqueViolation) return undefined;
    throw error;
  }
}

async function whyNotReversed(
  original: Transaction | undefined,
  tenantId: TenantId,
  findById: (id: TransactionId) => Promise<Transaction | undefined>,
): Promise<AlreadyReversed | NotReversible | UnknownTransaction> {
  if (original === undefined || original.tenantId !== tenantId) return { kind: 'unknown_transaction' };
  if (original.status === 'COMMITTED' && original.reversedBy !== null) {
    const refund = await findById(original.reversedBy);
    if (refund?.status === 'COMMITTED') return { kind: 'already_reversed', transaction: refund };
  }
  return { kind: 'not_reversible', transaction: original };
}

function limitParameters(changes: LimitChanges): unknown[] {
  const pair = <T>(value: T | undefined, write: (value: T) => unknown): unknown[] =>
    value === undefined ? [false, null] : [true, write(value)];
  const asIs = (value: number | null) => value;
  const asSaid = (value: boolean | null) => value;
  return [
    ...pair(changes.creditLimit, (amount: NanoUsd) => amountParameter(amount)),
    ...pair(changes.dailyQuota, asIs),
    ...pair(changes.monthlyQuota, asIs),
    ...pair(changes.rpmLimit, asIs),
    ...pair(changes.tpmLimit, asIs),
    ...pair(changes.rateMultiplierPpm, (ppm: bigint) => ppm.toString()),
    ...pair(changes.maxOpenRequests, asIs),
    ...pair(changes.blockOnInsufficient, asSaid),
    ...pair(changes.allowNegative, asSaid),
    ...pair(changes.streamAllowNegative, asSaid),
    ...pair(changes.warningThresholds, (percents) => percents),
  ];
}

/** Newest first: ids are UUIDv7. */
function listRows(db: Kysely<Schema>, filter: TransactionFilter): Promise<TransactionRow[]> {
  let query = db.selectFrom('billing_transaction').selectAll().orderBy('id', 'desc').limit(filter.limit);
  if (filter.tenantId !== undefined) query = query.where('tenant_id', '=', filter.tenantId);
  if (filter.status !== undefined) query = query.where('status', '=', filter.status);
  if (filter.type !== undefined) query = query.where('type', '=', filter.type);
  if (filter.traceId !== undefined) query = query.where('trace_id', '=', filter.traceId);
  if (filter.fromMs !== undefined) query = query.where('created_at', '>=', new Date(filter.fromMs));
  if (filter.toMs !== undefined) query = query.where('created_at', '<', new Date(filter.toMs));
  if (filter.before !== undefined) query = query.where('id', '<', filter.before);
  return query.execute();
}
