import type { AuditEntry } from '../catalog/catalog.ts';
import type { TenantId } from '../domain/ids.ts';
import type { QuotaProjection } from '../domain/quota.ts';
import type { Transaction } from '../domain/transaction.ts';
import type { Duplicate, PostedNow } from '../ledger/ledger.ts';
import type { AdminDependencies } from './admin-call.ts';

/**
 * Shows hot state the newest row of a tenant. The ledger has the change already, so an answer that
 * failed here would invite the admin to make it a second time; hot state takes the same row with the
 * tenant's next commit.
 */
export async function project(
  { hotState, onProjectionFailed }: AdminDependencies,
  projection: QuotaProjection,
): Promise<void> {
  try {
    await hotState.project(projection);
  } catch (error) {
    onProjectionFailed(error);
  }
}

/** As `project`, where the row has to be read first. */
export async function projectTenant(dependencies: AdminDependencies, tenantId: TenantId): Promise<void> {
  const snapshot = await dependencies.ledger.snapshot(tenantId);
  if (snapshot.kind === 'snapshot') await project(dependencies, snapshot.projection);
}

/**
 * Completes what follows a posting: hot state and the audit entry. A repeat does both again, since the
 * first may have died in between.
 */
export async function completePosting(
  dependencies: AdminDependencies,
  answer: PostedNow | Duplicate,
  audit: (transaction: Transaction) => AuditEntry,
): Promise<Transaction> {
  const { transaction } = answer;
  if (answer.kind === 'posted') {
    await project(dependencies, answer.projection);
    await dependencies.catalog.recordAudit(audit(transaction));
  } else {
    await projectTenant(dependencies, transaction.tenantId);
    await dependencies.catalog.recordAuditOnce(audit(transaction));
  }
  return transaction;
}
