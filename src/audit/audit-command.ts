import { parseArgs } from 'node:util';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { ReconcileReport } from '../observability/observer.ts';
import { type AuditSource, auditLedger, type LedgerAudit, type LedgerDifference } from './audit.ts';

/** What an audit reads. */
export interface AuditedStores {
  readonly source: AuditSource;
  /**
   * Compares hot state with the ledger, of one tenant or of all (null), and changes nothing; null where there is none to
   * reach. @throws Fault HOT_STATE_UNAVAILABLE that says why
   */
  readonly compareHotState: ((tenantId: TenantId | null) => Promise<ReconcileReport>) | null;
  close(): Promise<void>;
}

export interface AuditCommand {
  /** What stands behind "tollgate audit". */
  readonly args: readonly string[];
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  /** @throws Fault that says in its message why it can't be opened: an embedded ledger not while a gateway has it */
  readonly open: () => Promise<AuditedStores>;
}

/** As diff has them: 2 where nothing could be compared. */
export const auditExitCodes = { clean: 0, differences: 1, notAudited: 2 } as const;
type ExitCode = (typeof auditExitCodes)[keyof typeof auditExitCodes];

export const auditUsage = `Usage: tollgate audit [--tenant ID]

Recomputes the ledger: balances, sequence numbers, the chain of balances, receipts, usage records, refunds and
counters; and compares hot state in Redis with it, where that is configured. Changes nothing.

  --tenant ID       only this tenant

Exit status: 0 nothing differs, 1 something does, 2 it could not be audited.
`;

export async function runAuditCommand(command: AuditCommand): Promise<ExitCode> {
  const asked = readArgs(command.args);
  if (asked.kind === 'usage') {
    command.printError(asked.message);
    return auditExitCodes.notAudited;
  }
  try {
    const stores = await command.open();
    try {
      return await audit(stores, asked.tenantId, command);
    } finally {
      await stores.close();
    }
  } catch (error) {
    command.printError(reasonOf(error));
    return auditExitCodes.notAudited;
  }
}

/** @throws what isn't a Fault */
function reasonOf(error: unknown): string {
  if (!(error instanceof Fault)) throw error;
  return `${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ''}\n`;
}

type Asked =
  | { readonly kind: 'asked'; readonly tenantId: TenantId | null }
  | { readonly kind: 'usage'; readonly message: string };

function readArgs(args: readonly string[]): Asked {
  try {
    const { values } = parseArgs({ args: [...args], options: { tenant: { type: 'string' } } });
    return { kind: 'asked', tenantId: (values.tenant as TenantId | undefined) ?? null };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: 'usage', message: `${reason}\n\n${auditUsage}` };
  }
}

async function audit(
  { source, compareHotState }: AuditedStores,
  tenantId: TenantId | null,
  { print, printError }: AuditCommand,
): Promise<ExitCode> {
  const ledger = await auditLedger(source, tenantId, (difference) => print(`${lineOf(difference)}\n`));
  if (tenantId !== null && ledger.tenants === 0) {
    printError(`There is no tenant "${tenantId}".\n`);
    return auditExitCodes.notAudited;
  }
  print(`Ledger: ${ledgerSummary(ledger)}\n`);
  if (compareHotState === null) return exitCodeOf(ledger.differences);
  try {
    const report = await compareHotState(tenantId);
    for (const { tenantId: of, what } of report.tenants) for (const line of what) print(`${of}: ${line}\n`);
    print(`Hot state: ${hotStateSummary(report)}\n`);
    return exitCodeOf(ledger.differences + report.differing);
  } catch (error) {
    printError(`Hot state could not be compared. ${reasonOf(error)}`);
    return ledger.differences > 0 ? auditExitCodes.differences : auditExitCodes.notAudited;
  }
}

function exitCodeOf(differences: number): ExitCode {
  return differences === 0 ? auditExitCodes.clean : auditExitCodes.differences;
}

function lineOf({ tenantId, transactionId, what, found, expected }: LedgerDifference): string {
  const of = transactionId === null ? tenantId : `${tenantId}, transaction ${transactionId}`;
  return `${of}: ${what} is ${found}, should be ${expected}`;
}

function ledgerSummary({ tenants, transactions, receipts, differences, isComplete }: LedgerAudit): string {
  const seen = `${counted(tenants, 'tenant')}, ${counted(transactions, 'transaction')}, ${counted(receipts, 'receipt')}`;
  const found = differences === 0 ? 'no difference' : counted(differences, 'difference');
  return `${seen}: ${found}${isComplete ? '' : ', and more that are not listed'}`;
}

function hotStateSummary({ checked, differing, tenants }: ReconcileReport): string {
  const left = differing - tenants.length;
  const found = differing === 0 ? 'no difference' : `${counted(differing, 'tenant')} that differ`;
  return `${counted(checked, 'tenant')}: ${found}${left === 0 ? '' : `, of which ${left} are not listed`}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
