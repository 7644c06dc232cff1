import type { Finding, FindingKind, Row, ToppedUp } from './records.ts';
import type { Tenant } from './world.ts';

export interface Books {
  readonly tenant: Tenant;
  /** Of this tenant: those with a seq in its order, then the others. */
  readonly rows: readonly Row[];
  /** As `tenant_quota` has it. */
  readonly balance: bigint;
  readonly toppedUp: readonly ToppedUp[];
}

/** The invariants of one tenant's books (DESIGN.md section 8), and that of top-ups there is each acknowledged one once, and none but those asked for. */
export function auditTenant(books: Books): readonly Finding[] {
  const found = new FindingsOf(books.tenant.id);
  auditChain(books, found);
  auditTraces(books, found);
  auditTopUps(books, found);
  return found.all;
}

class FindingsOf {
  readonly all: Finding[] = [];
  readonly #tenantId: string;

  constructor(tenantId: string) {
    this.#tenantId = tenantId;
  }

  add(kind: FindingKind, what: string, row: Row | null = null): void {
    this.all.push({ kind, what, tenantId: this.#tenantId, asked: null, row });
  }
}

function auditChain({ tenant, rows, balance }: Books, found: FindingsOf): void {
  let sum = 0n;
  let seq = 0;
  for (const row of rows) {
    if (row.status !== 'COMMITTED') continue;
    seq += 1;
    if (row.seq !== seq) found.add('unexplained', `seq ${row.seq} stands where ${seq} should`, row);
    if (row.balanceBefore !== sum)
      found.add('unexplained', 'it does not begin where the one before ended', row);
    sum += (row.type === 'CHARGE' ? -1n : 1n) * (row.amount ?? 0n);
    if (row.balanceAfter !== sum) found.add('unexplained', `its balance after should be ${sum}`, row);
    if (tenant.isStrict && sum < 0n) found.add('unexplained', 'it was delivered uncovered', row);
  }
  if (sum !== balance) found.add('unexplained', `the sum of all is ${sum}, and the balance ${balance}`);
}

function auditTraces({ rows }: Books, found: FindingsOf): void {
  const seen = new Set<string>();
  for (const row of rows) {
    if (seen.has(row.traceId)) found.add('double', 'its trace id has another row', row);
    seen.add(row.traceId);
    const wantsRecord = row.type === 'CHARGE' && row.status !== 'PENDING';
    if (wantsRecord && row.outcome === null) found.add('unexplained', 'it has no usage record', row);
  }
}

/** The admin plane's own trace id for the balance that a tenant is made with. */
const openingTraceId = 'opening-balance';

function auditTopUps({ rows, toppedUp }: Books, found: FindingsOf): void {
  const posted = Map.groupBy(
    rows.filter(({ type }) => type !== 'CHARGE'),
    ({ traceId }) => traceId,
  );
  for (const twice of posted.get(openingTraceId)?.slice(1) ?? []) {
    found.add('double', 'its opening balance is there twice', twice);
  }
  posted.delete(openingTraceId);
  for (const { key, amount, transactionId } of toppedUp) {
    const [row, ...more] = posted.get(key) ?? [];
    posted.delete(key);
    for (const twice of more) found.add('double', `top-up ${key} is there twice`, twice);
    if (row !== undefined && (row.type !== 'TOPUP' || row.amount !== amount)) {
      found.add('unexplained', `top-up ${key} of ${amount} became a ${row.type} of ${row.amount}`, row);
    }
    if (transactionId === null) continue;
    const isThere = row?.id === transactionId && row.status === 'COMMITTED' && row.amount === amount;
    if (!isThere) found.add('lost', `top-up ${key} was acknowledged as ${transactionId}`, row ?? null);
  }
  for (const row of [...posted.values()].flat())
    found.add('unexplained', `nobody asked for this ${row.type}`, row);
}
