import { describe, expect, it } from 'vitest';
import { completeUncommitted, judge, lateCheckpoint } from './judge.ts';
import { checkpointIntervalMs } from './outages.ts';
import type { Asked, Attempt, Fault, Row, Upstream } from './records.ts';

// A comparison that never finds anything proves nothing: each lie that a ledger could tell is told here once.

const words = [' sea', ' is', ' wide', ' and', ' deep'] as const;

/** One token a second from `fromMs` on. */
function pieces(count: number, fromMs = 1_000) {
  return Array.from({ length: count }, (_, index) => {
    const content = words[index % words.length];
    return {
      atMs: fromMs + index * 1_000,
      text: `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`,
    };
  });
}

function attempt(values: Partial<Attempt> = {}): Attempt {
  return {
    gateway: 0,
    sentAtMs: 0,
    endedAtMs: 21_000,
    end: 'complete',
    status: 200,
    headers: {},
    pieces: pieces(20),
    code: null,
    isOtherBody: false,
    ...values,
  };
}

function asked(attempts: readonly Attempt[], values: Partial<Asked> = {}): Asked {
  return {
    mark: 'chaos-1',
    tenantId: 'tenant',
    kind: 'stream',
    isStream: true,
    idempotencyKey: 'key',
    requestHash: 'hash',
    attempts: [...attempts],
    inquiries: [],
    ...values,
  };
}

function row(outputTokens: number, values: Partial<Row> = {}): Row {
  return {
    id: 'id',
    tenantId: 'tenant',
    traceId: 'key',
    requestHash: 'hash',
    type: 'CHARGE',
    status: 'COMMITTED',
    amount: 10_000n + BigInt(outputTokens) * 2_000n,
    inputTokens: 10,
    outputTokens,
    usageMethod: 'usage',
    seq: 1,
    balanceBefore: 0n,
    balanceAfter: 0n,
    owner: 'owner',
    description: null,
    outcome: 'completed',
    createdAtMs: 0,
    updatedAtMs: 30_000,
    ...values,
  };
}

const voided = (values: Partial<Row> = {}) => row(0, { status: 'VOIDED', amount: null, ...values });

const sent: Upstream = { outcome: 'completed', tokensSent: 20, promptTokens: 10, completionTokens: 20 };
const kill: Fault = { kind: 'kill_gateway', gateway: 0, fromMs: 20_500, toMs: 20_900 };
const away: Fault = { kind: 'stop_postgres', gateway: null, fromMs: 8_000, toMs: 20_400 };
const refused = attempt({ end: 'refused', status: 503, pieces: [], code: 'LEDGER_UNAVAILABLE' });
const cut = attempt({ end: 'cut' });
const unanswered = attempt({ end: 'cut', status: null, pieces: [] });

interface Judged {
  readonly attempts: readonly Attempt[];
  readonly row: Row | null;
  readonly faults?: readonly Fault[];
  readonly upstream?: readonly Upstream[];
  readonly told?: Partial<Asked>;
}

function judged({ attempts, row, faults = [], upstream = [sent], told = {} }: Judged) {
  const asking = asked(attempts, told);
  return judge({ asked: asking, row, faults, upstream, checkpointWithinMs: checkpointIntervalMs });
}
const kindsOf = (one: Judged) => judged(one).wrong.map(({ kind }) => kind);

describe('a story that holds together', () => {
  it.each<[string, Judged]>([
    ['complete, and committed', { attempts: [attempt()], row: row(20) }],
    ['refused, and voided', { attempts: [refused], row: voided() }],
    ['refused, and never opened', { attempts: [refused], row: null, upstream: [] }],
    [
      'killed, and charged by its last checkpoint',
      { attempts: [cut], row: row(16, { outcome: 'gateway_died' }), faults: [kill] },
    ],
    ['killed after its commit, before its closing event', { attempts: [cut], row: row(20), faults: [kill] }],
    [
      'killed within its first interval, and voided',
      {
        attempts: [attempt({ end: 'cut', pieces: pieces(4, 17_000) })],
        row: voided({ outcome: 'gateway_died' }),
        faults: [kill],
      },
    ],
    ['killed before anything was durable', { attempts: [unanswered], row: null, faults: [kill] }],
    [
      'broken by the provider, and charged for what was delivered',
      {
        attempts: [attempt({ end: 'told_error', pieces: pieces(7) })],
        row: row(7, { outcome: 'upstream_cut' }),
      },
    ],
    [
      'left by its client, and charged for what was generated until then',
      {
        attempts: [attempt({ end: 'left', pieces: pieces(7) })],
        row: row(9, { outcome: 'client_gone' }),
      },
    ],
  ])('%s', (_, one) => {
    expect(judged(one).wrong).toEqual([]);
    expect(judged(one).explained).toEqual([]);
  });

  it('charged by an older checkpoint, where the ledger was away until the end, is explained', () => {
    const faults = [away, kill];
    const one = { attempts: [cut], row: row(3, { outcome: 'gateway_died' }), faults };
    expect(judged(one)).toMatchObject({ wrong: [], explained: [lateCheckpoint] });
  });

  it('complete while the ledger was away, and then killed, is explained', () => {
    const faults = [away, { ...kill, fromMs: 22_000, toMs: 22_000 }];
    const one = { attempts: [attempt()], row: row(16, { outcome: 'gateway_died' }), faults };
    expect(judged(one)).toMatchObject({ wrong: [], explained: [completeUncommitted] });
  });
});

describe('of what outages excuse', () => {
  const died = { outcome: 'gateway_died' } as const;
  const postgresAway = (fromMs: number, toMs: number): Fault => ({ ...away, fromMs, toMs });
  /** Away for a moment every four seconds: there was always time for a checkpoint in between. */
  const blips = [postgresAway(6_000, 6_100), postgresAway(10_000, 10_100), postgresAway(14_000, 14_100)];
  const doneAlone = { atMs: 25_100, text: 'data: [DONE]\n\n' };

  it('outages one after the other excuse as long as they last, and no more', () => {
    const faults = [...blips, postgresAway(18_000, 18_100), kill];
    expect(kindsOf({ attempts: [cut], row: row(4, died), faults })).toEqual(['lost']);
    // Of the last 20 s it was away for two times 6 s, and needs 1.5 s each to be there again.
    const longAway = [postgresAway(3_000, 9_000), postgresAway(12_000, 18_000), kill];
    expect(judged({ attempts: [cut], row: row(2, died), faults: longAway })).toMatchObject({
      wrong: [],
      explained: [lateCheckpoint],
    });
  });

  it('a ledger that was away for a moment excuses no complete answer that is not committed', () => {
    const faults = [postgresAway(18_000, 18_200), { ...kill, fromMs: 22_000, toMs: 22_000 }];
    expect(kindsOf({ attempts: [attempt()], row: row(20, died), faults })).toEqual(['lost']);
  });

  it('nor does it where the answer was seen not to wait, and it does where it was', () => {
    const faults = [postgresAway(23_000, 24_000), { ...kill, fromMs: 26_000, toMs: 26_000 }];
    const waited = attempt({ endedAtMs: 25_100, pieces: [...pieces(20), doneAlone] });
    expect(judged({ attempts: [waited], row: row(20, died), faults })).toMatchObject({
      wrong: [],
      explained: [completeUncommitted],
    });
    const didNot = attempt({ endedAtMs: 25_100, pieces: [...pieces(20, 5_500), doneAlone] });
    expect(kindsOf({ attempts: [didNot], row: row(20, died), faults })).toEqual(['lost']);
  });

  it('the row of a request that was sent twice may be of either gateway, if one of them died', () => {
    const gaveUp = attempt({ gateway: 1, end: 'gave_up', status: null, pieces: [], endedAtMs: 4_000 });
    const second = attempt({ sentAtMs: 5_000, end: 'cut', status: null, pieces: [] });
    const attempts = [gaveUp, second];
    expect(kindsOf({ attempts, row: voided(died), faults: [kill] })).toEqual([]);
    expect(kindsOf({ attempts: [gaveUp], row: voided(died), faults: [kill] })).toEqual(['unexplained']);
  });
});

describe('a story that does not', () => {
  it.each<[string, string, Judged]>([
    ['lost', 'complete, and nowhere', { attempts: [attempt()], row: null }],
    ['lost', 'complete, and voided', { attempts: [attempt()], row: voided() }],
    [
      'lost',
      'complete with the ledger there, and charged as if its gateway had died',
      { attempts: [attempt()], row: row(16, { outcome: 'gateway_died' }), faults: [kill] },
    ],
    [
      'lost',
      'told its amount, and voided, though the ledger was away',
      {
        attempts: [attempt({ headers: { 'x-billing-amount': '0.00005' } })],
        row: voided({ outcome: 'gateway_died' }),
        faults: [away, { ...kill, fromMs: 22_000, toMs: 22_000 }],
      },
    ],
    ['lost', 'still PENDING', { attempts: [cut], row: row(0, { status: 'PENDING' }), faults: [kill] }],
    [
      'lost',
      'killed, and charged by a checkpoint of long ago',
      { attempts: [cut], row: row(3, { outcome: 'gateway_died' }), faults: [kill] },
    ],
    [
      'lost',
      'killed, and voided',
      { attempts: [cut], row: voided({ outcome: 'gateway_died' }), faults: [kill] },
    ],
    ['lost', 'bytes delivered, and no row', { attempts: [cut], row: null, faults: [kill] }],
    [
      'lost',
      'left by its client, and charged for less than that has',
      { attempts: [attempt({ end: 'left' })], row: row(12, { outcome: 'client_gone' }) },
    ],
    ['double', 'answered twice under one key', { attempts: [cut, attempt()], row: row(20), faults: [kill] }],
    ['unexplained', 'refused, and charged', { attempts: [refused], row: row(20) }],
    ['unexplained', 'charged for other tokens than were used', { attempts: [attempt()], row: row(19) }],
    [
      'unexplained',
      'another amount than its client was told',
      { attempts: [attempt({ headers: { 'x-billing-amount': '0.00006' } })], row: row(20) },
    ],
    ['unexplained', 'an amount of its own', { attempts: [attempt()], row: row(20, { amount: 1n }) }],
    ['unexplained', 'a prompt of its own', { attempts: [attempt()], row: row(20, { inputTokens: 11 }) }],
    [
      'unexplained',
      'killed, and charged for more than was delivered',
      {
        attempts: [attempt({ end: 'cut', pieces: pieces(10) })],
        row: row(15, { outcome: 'gateway_died' }),
        faults: [kill],
      },
    ],
    [
      'unexplained',
      'ended as of a dead gateway, which lived',
      { attempts: [attempt({ end: 'told_error' })], row: row(20, { outcome: 'gateway_died' }) },
    ],
    ['unexplained', 'a connection that broke by itself', { attempts: [cut], row: row(20) }],
    [
      'unexplained',
      'another body that ran',
      { attempts: [attempt(), attempt({ isOtherBody: true })], row: row(20) },
    ],
    [
      'unexplained',
      'an inquiry that was told something else',
      {
        attempts: [attempt()],
        row: row(20),
        told: { inquiries: [{ atMs: 1, gateway: 0, status: 'VOIDED', amount: null }] },
      },
    ],
  ])('is %s: %s', (kind, _, one) => {
    expect(kindsOf(one)).toContain(kind);
  });
});
