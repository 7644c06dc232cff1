import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat/index.ts';
import type { TraceId } from '../../src/domain/ids.ts';
import { SettledHolders } from '../../src/hot-state/memory/settled-holders.ts';
import { Tenant } from '../../src/hot-state/memory/tenant.ts';
import { BeatWatch } from '../../src/jobs/beat-watch.ts';
import { GroupCommit } from '../../src/ledger/group-commit.ts';
import { readStatements } from '../../src/ledger/sql/statements.ts';
import type { Rewrite } from './database.ts';
import type { Engine } from './engine.ts';
import type { Sabotage } from './simulation.ts';

/** A safety measure, and how to be without it; undone afterwards. */
export interface Switch {
  readonly measure: string;
  /** The invariant that it guards. */
  readonly shows: string;
  /** Where its test begins, shortly before a seed that shows it. */
  readonly firstSeed: number;
  off(engine: Engine): Promise<{ readonly sabotage: Sabotage; readonly on: () => Promise<void> }>;
}

/**
 * Each is switched off from outside: the code under test knows nothing of it. Of the seeds 1 to 20, so many show first what
 * it guards: version fence 4, unique key none (seed 35 is the first), lane order 12, hold by trace id 18, withheld closing
 * event 20, orphan claim 5, request hash 5, period in the counter 4, immutable trigger 4, double-execution guard 3.
 */
export const switches: readonly Switch[] = [
  {
    measure: 'version fence',
    shows: 'a projection is only replaced by a newer one',
    firstSeed: 11,
    off: async () =>
      replacing(Tenant.prototype, 'project', function (this: Tenant, projection) {
        this.apiKeys.project(projection);
        this.projection = { ...projection, apiKeyQuotas: [] };
      }),
  },
  {
    measure: 'unique key',
    shows: 'one committed charge a trace id',
    firstSeed: 33,
    off: async (engine) => {
      await engine.exec(
        'ALTER TABLE billing_transaction DROP CONSTRAINT billing_transaction_trace_id_tenant_id_key',
      );
      return {
        sabotage: { rewrite: rewriting(/ON CONFLICT \(tenant_id, trace_id\) DO NOTHING/g, '') },
        on: async () => {
          await engine.clear();
          await engine.exec('ALTER TABLE billing_transaction ADD UNIQUE (trace_id, tenant_id)');
        },
      };
    },
  },
  {
    // Of it, what keeps one request's commands in order and out of one statement: lanes stay, with one batch
    // at a time in each.
    measure: 'lane order',
    shows: 'what is asked of the ledger for one request goes in its order',
    firstSeed: 2,
    off: async () => {
      let submitted = 0;
      // One for each writer: what has another writer is in another statement.
      const unordered = new WeakMap<object, object>();
      const { submit } = GroupCommit.prototype;
      return replacing(GroupCommit.prototype, 'submit', function (this: GroupCommit, writer, item) {
        const other = unordered.get(writer) ?? { ...writer, identityOf: () => `${submitted++}` };
        unordered.set(writer, other);
        return submit.call(this, other as never, item) as never;
      });
    },
  },
  {
    measure: 'hold by trace id',
    shows: 'a request is held for once',
    firstSeed: 2,
    off: async () => {
      let placed = 0;
      const { place } = Tenant.prototype;
      return replacing(Tenant.prototype, 'place', function (this: Tenant, traceId, hold, nowMs) {
        place.call(this, `${traceId} ${placed++}` as TraceId, hold, nowMs);
      });
    },
  },
  {
    measure: 'withheld closing event',
    shows: 'what is complete is committed',
    firstSeed: 1,
    off: async () => ({
      sabotage: { dialect: letsEverythingThrough(openaiChat) },
      on: async () => undefined,
    }),
  },
  {
    // Everybody else looks gone at once, without having been watched.
    measure: 'orphan claim',
    shows: 'who was ended delivers nothing',
    firstSeed: 6,
    off: async () =>
      replacing(BeatWatch.prototype, 'observe', ({ instances }) =>
        instances.filter(({ hasEnded }) => !hasEnded),
      ),
  },
  {
    measure: 'request hash',
    shows: 'a key with another body is a conflict',
    firstSeed: 1,
    off: async () => {
      const { createHash } = crypto;
      const constant = { update: () => constant, digest: () => 'the same for all' };
      crypto.createHash = (() => constant) as never;
      syncBuiltinESMExports();
      const on = async () => {
        crypto.createHash = createHash;
        syncBuiltinESMExports();
      };
      return { sabotage: {}, on };
    },
  },
  {
    measure: 'period in the counter',
    shows: 'each request counts in one day and one month',
    firstSeed: 2,
    off: async () => ({
      sabotage: {
        rewrite: rewriting(
          /CASE WHEN q\.(daily|monthly)_period IS NOT DISTINCT FROM s\.(?:day|month) THEN (q\.\w+_used) ELSE 0 END/g,
          '$2',
        ),
      },
      on: async () => undefined,
    }),
  },
  {
    measure: 'immutable trigger',
    shows: 'history is immutable',
    firstSeed: 1,
    off: async (engine) => {
      const trigger = 'TRIGGER billing_transaction_immutable';
      await engine.exec(`ALTER TABLE billing_transaction DISABLE ${trigger}`);
      return {
        sabotage: {},
        on: () => engine.exec(`ALTER TABLE billing_transaction ENABLE ${trigger}`),
      };
    },
  },
  {
    measure: 'double-execution guard',
    shows: 'what is settled is not held again',
    firstSeed: 4,
    off: async () => replacing(SettledHolders.prototype, 'has', () => false),
  },
];

/** @throws where no statement of the ledger says it: nothing would be switched off */
function rewriting(words: RegExp, by: string): Rewrite {
  const isSaid = Object.values(readStatements()).some(
    (statement) => statement.replaceAll(words, by) !== statement,
  );
  if (!isSaid) throw new Error(`no statement of the ledger says ${words}`);
  return (statement) => statement.replaceAll(words, by);
}

function replacing<Prototype, Name extends keyof Prototype>(
  prototype: Prototype,
  name: Name,
  method: Prototype[Name],
): Awaited<ReturnType<Switch['off']>> {
  const original = prototype[name];
  prototype[name] = method;
  return {
    sabotage: {},
    on: async () => {
      prototype[name] = original;
    },
  };
}

/** The closing event goes to the client as it comes, and not behind the commit. */
function letsEverythingThrough(dialect: Dialect): Dialect {
  return {
    ...dialect,
    followStream: (context) => {
      const follower = dialect.followStream(context);
      let given = 0;
      return {
        push: (chunk) => {
          const passed = [...follower.push(chunk)];
          if (!follower.closed) return passed;
          const held = follower.end();
          const rest = held.slice(given);
          given = held.length;
          return [...passed, ...rest];
        },
        end: () => follower.end().slice(given),
        get closed() {
          return follower.closed;
        },
        get generatedAtMost() {
          return follower.generatedAtMost;
        },
        reading: () => follower.reading(),
        errorEnd: (refusal) => follower.errorEnd(refusal),
      };
    },
  };
}
