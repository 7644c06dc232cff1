import { randomUUIDv7 } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hashRequest, type TenantId, type TraceId, type TransactionId } from '../../domain/ids.ts';
import { formatAmount, nano } from '../../domain/money.ts';
import { commitOf, deductionFor, draftFor, topUpFor, voidOf } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

/** The change of the balance that a command claims to have made, if any. */
type Effect = { readonly traceId: TraceId; readonly amount: bigint } | null;

/** All of it at once, against a sum of bigints. */
export function contractOfRandomCommands(given: GivenLedger): void {
  const { newTenant, quotaOf, expectChain } = given;

  it('agrees with a bigint oracle over random commands, repeated and raced', async () => {
    const command = fc.record({
      kind: fc.constantFrom('deduct', 'credit', 'commit', 'void', 'reverse'),
      amount: fc.bigInt({ min: 0n, max: 2n ** 54n }),
      trace: fc.integer({ min: 0, max: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 40 }), async (commands) => {
        const tenantId = await newTenant('0');
        const effects = new Map<string, bigint>();
        await Promise.all(
          commands.map(async ({ kind, amount, trace }) => {
            const traceId = `trace-${trace}` as TraceId;
            const effect = await runCommand[kind]!(tenantId, formatAmount(nano(amount)), traceId);
            if (effect !== null) {
              expect(effects.has(`${effect.traceId}`)).toBe(false);
              effects.set(effect.traceId, effect.amount);
            }
          }),
        );
        await expectChain(tenantId);
        const sum = [...effects.values()].reduce((total, amount) => total + amount, 0n);
        expect((await quotaOf(tenantId)).balance).toBe(sum);
      }),
      { numRuns: 25 },
    );
  });

  /** One command a kind; each answers the change of the balance that it claims to have made, if any. */
  const runCommand: Record<string, (tenantId: TenantId, text: string, traceId: TraceId) => Promise<Effect>> =
    {
      deduct: async (tenantId, text, traceId) => {
        const answer = await given.ledger.deduct(deductionFor(tenantId, text, { traceId }));
        return answer.kind === 'posted' ? { traceId, amount: -answer.amount } : null;
      },
      credit: async (tenantId, text, traceId) => {
        const answer = await given.ledger.credit(topUpFor(tenantId, text, { traceId }));
        return answer.kind === 'posted' ? { traceId, amount: answer.amount } : null;
      },
      commit: async (tenantId, text, traceId) => {
        const draft = draftFor(tenantId, { traceId });
        await given.ledger.createPending(draft);
        const answer = await given.ledger.commitPending(commitOf(draft, text));
        return answer.kind === 'committed' ? { traceId, amount: -answer.amount } : null;
      },
      void: async (tenantId, _, traceId) => {
        const draft = draftFor(tenantId, { traceId });
        await given.ledger.createPending(draft);
        await given.ledger.voidPending(voidOf(draft));
        return null;
      },
      reverse: async (tenantId, _, traceId) => {
        const original = await given.ledger.findByTrace(tenantId, traceId);
        if (original === undefined) return null;
        const refundTrace = `undo-${traceId}` as TraceId;
        const answer = await given.ledger.reverse({
          tenantId,
          transactionId: original.id,
          id: randomUUIDv7() as TransactionId,
          traceId: refundTrace,
          requestHash: hashRequest(refundTrace),
          description: null,
        });
        return answer.kind === 'posted' ? { traceId: refundTrace, amount: answer.amount } : null;
      },
    };
}
