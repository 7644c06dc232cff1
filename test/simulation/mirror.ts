import type { TenantId } from '../../src/domain/ids.ts';
import { parseAmount } from '../../src/domain/money.ts';
import type { Database } from './database.ts';
import type { World } from './world.ts';

/** A row of the ledger as it was last seen; amounts in nano. */
export interface MirrorRow {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly traceId: string;
  readonly type: string;
  readonly status: 'PENDING' | 'COMMITTED' | 'VOIDED';
  readonly requestHash: string;
  readonly amount: bigint | null;
  readonly holdAmount: bigint | null;
  readonly seq: number | null;
  readonly balanceBefore: bigint | null;
  readonly balanceAfter: bigint | null;
  readonly periodDay: string | null;
  readonly owner: string | null;
  readonly reversedBy: string | null;
  /** How its request ended; null while it is open. */
  readonly outcome: string | null;
  /** Of all that may never change once it is closed. */
  readonly content: string;
  /** The version of the tenant's row that this row was committed with; null before. */
  readonly version: number | null;
  readonly closedAtMs: number | null;
}

/** A tenant's row at one version. */
export interface MirrorQuota {
  readonly tenantId: TenantId;
  readonly version: number;
  readonly balance: bigint;
  readonly creditLimit: bigint;
  readonly lastSeq: number;
  readonly dailyUsed: number;
  readonly dailyPeriod: string | null;
  readonly monthlyUsed: number;
  readonly monthlyPeriod: string | null;
}

interface ChangedRow {
  readonly id: string;
  readonly tenant_id: string;
  readonly trace_id: string;
  readonly type: string;
  readonly status: MirrorRow['status'];
  readonly request_hash: string;
  readonly amount: string | null;
  readonly hold_amount: string | null;
  readonly seq: string | null;
  readonly balance_before: string | null;
  readonly balance_after: string | null;
  readonly period_day: string | null;
  readonly owner: string | null;
  readonly reversed_by: string | null;
  readonly outcome: string | null;
  readonly content: string;
}

interface ChangedQuota {
  readonly tenant_id: string;
  readonly version: string;
  readonly balance: string;
  readonly credit_limit: string;
  readonly last_seq: string;
  readonly daily_used: string;
  readonly daily_period: string | null;
  readonly monthly_used: string;
  readonly monthly_period: string | null;
}

/** What was changed since: a changed row is a new version of it, which a later transaction made. */
const changedRows = `
  SELECT
    b.id, b.tenant_id, b.trace_id, b.type, b.status, b.request_hash, b.amount, b.hold_amount, b.seq,
    b.balance_before, b.balance_after, b.period_day, b.owner, b.reversed_by,
    (SELECT u.outcome FROM usage_record u WHERE u.tenant_id = b.tenant_id AND u.transaction_id = b.id) AS outcome,
    md5((to_jsonb(b) - 'updated_at' - 'reversed_by')::text) AS content
  FROM billing_transaction b
  WHERE b.xmin::text::bigint >= $1
  ORDER BY b.tenant_id, b.seq NULLS LAST, b.id`;
const changedQuotas = `
  SELECT
    q.tenant_id, q.version, q.balance, q.credit_limit, q.last_seq, q.daily_used, q.daily_period, q.monthly_used,
    q.monthly_period, pg_snapshot_xmax(pg_current_snapshot())::text AS next_transaction,
    (SELECT count(*) FROM billing_transaction) AS rows
  FROM tenant_quota q
  ORDER BY q.tenant_id`;

/**
 * The ledger as seen from outside, brought up to date after each statement that may have written, and what every
 * version of a tenant's row was. Here invariants 1, 3, 11 and 13 are held against each change.
 */
export class Mirror {
  readonly #world: World;
  readonly #database: Database;
  readonly rows = new Map<string, MirrorRow>();
  readonly #byTrace = new Map<string, MirrorRow[]>();
  readonly #versions = new Map<string, Map<number, MirrorQuota>>();
  readonly #newest = new Map<TenantId, MirrorQuota>();
  #seenTransactions = '0';

  constructor(world: World, database: Database) {
    this.#world = world;
    this.#database = database;
  }

  /** Those under one trace id: one, unless something is broken. */
  ofTrace(tenantId: TenantId, traceId: string): readonly MirrorRow[] {
    return [...(this.#byTrace.get(`${tenantId}\n${traceId}`) ?? [])].map(
      ({ id }) => this.rows.get(id) as MirrorRow,
    );
  }

  newest(tenantId: TenantId): MirrorQuota {
    const newest = this.#newest.get(tenantId);
    if (newest === undefined) throw new Error(`no row of ${tenantId}`);
    return newest;
  }

  at(tenantId: TenantId, version: number): MirrorQuota | undefined {
    return this.#versions.get(tenantId)?.get(version);
  }

  async update(): Promise<void> {
    const changed = await this.#database.query<ChangedRow>(changedRows, [this.#seenTransactions]);
    const quotas = await this.#database.query<ChangedQuota & { next_transaction: string; rows: string }>(
      changedQuotas,
    );
    for (const quota of quotas) this.#takeQuota(quotaOf(quota));
    for (const row of changed) this.#takeRow(row);
    for (const tenantId of new Set(changed.map((row) => row.tenant_id as TenantId)))
      this.#checkTenant(tenantId);
    const [first] = quotas;
    if (first === undefined) return;
    this.#seenTransactions = first.next_transaction;
    if (Number(first.rows) !== this.rows.size)
      this.#world.violated('history is immutable', `${this.rows.size} rows were there, ${first.rows} are`);
  }

  #takeQuota(quota: MirrorQuota): void {
    const known = this.#newest.get(quota.tenantId);
    if (known?.version === quota.version) return;
    if (known !== undefined && known.version > quota.version)
      this.#world.violated('versions grow', `${quota.tenantId} from ${known.version} to ${quota.version}`);
    this.#newest.set(quota.tenantId, quota);
    const versions = this.#versions.get(quota.tenantId) ?? new Map<number, MirrorQuota>();
    this.#versions.set(quota.tenantId, versions);
    versions.set(quota.version, quota);
  }

  #takeRow(changed: ChangedRow): void {
    const before = this.rows.get(changed.id);
    const version =
      before?.version ??
      (changed.status === 'COMMITTED' ? this.newest(changed.tenant_id as TenantId).version : null);
    const closedAtMs = before?.closedAtMs ?? (changed.status === 'PENDING' ? null : this.#world.nowMs);
    const row = rowOf(changed, version, closedAtMs);
    this.rows.set(row.id, row);
    if (before === undefined) {
      const key = `${row.tenantId}\n${row.traceId}`;
      this.#byTrace.set(key, [...(this.#byTrace.get(key) ?? []), row]);
    } else this.#checkChange(before, row);
    const charged = this.ofTrace(row.tenantId, row.traceId).filter(({ status }) => status === 'COMMITTED');
    if (charged.length > 1)
      this.#world.violated('one committed charge a trace id', `${row.tenantId} ${row.traceId}`);
  }

  #checkChange(before: MirrorRow, row: MirrorRow): void {
    if (before.status === 'PENDING') return;
    if (
      before.content !== row.content ||
      (before.reversedBy !== null && before.reversedBy !== row.reversedBy)
    )
      this.#world.violated('history is immutable', `transaction ${row.id} of ${row.traceId} was closed`);
  }

  /** The chain from the first to the last, and the tenant's row at its end. */
  #checkTenant(tenantId: TenantId): void {
    const committed = [...this.rows.values()]
      .filter((row) => row.tenantId === tenantId && row.status === 'COMMITTED')
      .sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    const quota = this.newest(tenantId);
    let balance = 0n;
    for (const [index, row] of committed.entries()) {
      const effect = row.type === 'CHARGE' ? -(row.amount ?? 0n) : (row.amount ?? 0n);
      if (row.seq !== index + 1) this.#broken(tenantId, `seq ${row.seq} in place ${index + 1}`);
      if (row.balanceBefore !== balance) this.#broken(tenantId, `balance_before of seq ${row.seq}`);
      balance += effect;
      if (row.balanceAfter !== balance) this.#broken(tenantId, `balance_after of seq ${row.seq}`);
    }
    if (quota.balance !== balance)
      this.#broken(tenantId, `balance ${quota.balance}, and its rows are ${balance}`);
    if (quota.lastSeq !== committed.length) this.#broken(tenantId, `last seq ${quota.lastSeq}`);
    this.#checkCounters(quota, committed);
  }

  #checkCounters(quota: MirrorQuota, committed: readonly MirrorRow[]): void {
    const { dailyPeriod, monthlyPeriod, dailyUsed, monthlyUsed, tenantId } = quota;
    const days = committed.flatMap(({ type, periodDay }) =>
      type === 'CHARGE' && periodDay !== null ? [periodDay] : [],
    );
    const inDay = days.filter((day) => day === dailyPeriod).length;
    const inMonth = days.filter((day) => day.slice(0, 7) === monthlyPeriod?.slice(0, 7)).length;
    if (dailyUsed !== inDay || monthlyUsed !== inMonth) {
      this.#world.violated(
        'each request counts in one day and one month',
        `${tenantId}: ${inDay} in ${dailyPeriod} and ${inMonth} in ${monthlyPeriod}, counted ${dailyUsed} and ${monthlyUsed}`,
      );
    }
  }

  #broken(tenantId: TenantId, detail: string): void {
    this.#world.violated('the balance chain holds', `${tenantId}: ${detail}`);
  }
}

function amount(text: string | null): bigint | null {
  return text === null ? null : parseAmount(text);
}

function rowOf(row: ChangedRow, version: number | null, closedAtMs: number | null): MirrorRow {
  return {
    id: row.id,
    tenantId: row.tenant_id as TenantId,
    traceId: row.trace_id,
    type: row.type,
    status: row.status,
    requestHash: row.request_hash,
    amount: amount(row.amount),
    holdAmount: amount(row.hold_amount),
    seq: row.seq === null ? null : Number(row.seq),
    balanceBefore: amount(row.balance_before),
    balanceAfter: amount(row.balance_after),
    periodDay: row.period_day,
    owner: row.owner,
    reversedBy: row.reversed_by,
    outcome: row.outcome,
    content: row.content,
    version,
    closedAtMs,
  };
}

function quotaOf(row: ChangedQuota): MirrorQuota {
  return {
    tenantId: row.tenant_id as TenantId,
    version: Number(row.version),
    balance: parseAmount(row.balance),
    creditLimit: parseAmount(row.credit_limit),
    lastSeq: Number(row.last_seq),
    dailyUsed: Number(row.daily_used),
    dailyPeriod: row.daily_period,
    monthlyUsed: Number(row.monthly_used),
    monthlyPeriod: row.monthly_period,
  };
}
