import { auditTenant } from './audit.ts';
import type { Told } from './clients.ts';
import { type Judgement, judge } from './judge.ts';
import type { Asked, Fault, Finding, Row, Upstream } from './records.ts';
import type { Tenant } from './world.ts';

export interface Compared {
  readonly told: Told;
  readonly tenants: readonly Tenant[];
  readonly rows: readonly Row[];
  readonly balances: ReadonlyMap<string, bigint>;
  /** By the mark of the request. */
  readonly upstream: ReadonlyMap<string, readonly Upstream[]>;
  readonly faults: readonly Fault[];
  readonly checkpointWithinMs: number;
}

export interface Comparison {
  readonly judged: readonly {
    readonly asked: Asked;
    readonly row: Row | null;
    readonly judgement: Judgement;
  }[];
  readonly findings: readonly Finding[];
}

/** Clients, provider and ledger have to tell the same story, of every request and of every tenant. */
export function compare(compared: Compared): Comparison {
  const { told, tenants, rows, balances, upstream, faults, checkpointWithinMs } = compared;
  const charges = Map.groupBy(
    rows.filter(({ type }) => type === 'CHARGE'),
    ({ requestHash }) => requestHash,
  );
  const findings: Finding[] = [];
  const judged = told.asked.map((asked) => {
    const [row = null, ...more] = charges.get(asked.requestHash) ?? [];
    charges.delete(asked.requestHash);
    const sent = upstream.get(asked.mark) ?? [];
    const judgement = judge({ asked, row, upstream: sent, faults, checkpointWithinMs });
    const about = { tenantId: asked.tenantId, asked };
    for (const { kind, what } of judgement.wrong) findings.push({ kind, what, ...about, row });
    for (const twice of more)
      findings.push({ kind: 'double', what: 'it has more rows', ...about, row: twice });
    return { asked, row, judgement };
  });
  for (const row of [...charges.values()].flat()) {
    const what = 'a row that nobody asked for';
    findings.push({ kind: 'unexplained', what, tenantId: row.tenantId, asked: null, row });
  }
  for (const tenant of tenants) {
    const books = {
      tenant,
      rows: rows.filter(({ tenantId }) => tenantId === tenant.id),
      balance: balances.get(tenant.id) ?? 0n,
      toppedUp: told.toppedUp.filter(({ tenantId }) => tenantId === tenant.id),
    };
    findings.push(...auditTenant(books));
  }
  return { judged, findings };
}
