import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { Comparison } from './compare.ts';
import { tokensDelivered } from './delivered.ts';
import type { Rule, Verdict } from './judge.ts';
import { faultsAround } from './outages.ts';
import {
  type Asked,
  type Fault,
  type FaultKind,
  type Finding,
  type FindingKind,
  faultKinds,
} from './records.ts';

/** What a run has shown. Counts, but for `findings`. */
export interface Report {
  readonly seed: number;
  readonly seconds: number;
  readonly requests: number;
  readonly attempts: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
  /** How often clients got which status or code instead of an answer. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<FaultKind, number>>;
  readonly kills: number;
  readonly killsPlanned: number;
  /** Streams whose gateway was killed, or taken for dead, while they ran. */
  readonly streamsBrokenByGateway: number;
  /** Of those that no rule has to explain, the longest time before the end of which nothing is charged. */
  readonly longestUnchargedSeconds: number;
  readonly topUps: {
    readonly acknowledged: number;
    readonly repeated: number;
    readonly unacknowledged: number;
  };
  /** Until every PENDING row was closed, from when everything ran again. */
  readonly settledWithinSeconds: number;
  readonly explained: Readonly<Partial<Record<Rule, number>>>;
  readonly wrong: Readonly<Record<FindingKind, number>>;
  readonly findings: readonly Finding[];
  readonly folder: string;
}

export interface Reported
  extends Pick<Report, 'seed' | 'seconds' | 'killsPlanned' | 'topUps' | 'settledWithinSeconds' | 'folder'> {
  readonly comparison: Comparison;
  readonly hotState: readonly Finding[];
  readonly faults: readonly Fault[];
}

export function makeReport({ comparison, hotState, faults, ...said }: Reported): Report {
  const { judged } = comparison;
  const uncharged = (all: Comparison['judged']) =>
    all.flatMap(({ judgement }) => judgement.unchargedMs ?? []);
  const plain = judged.filter(({ judgement }) => judgement.explained.length === 0);
  const findings = [...comparison.findings, ...hotState];
  const byKind = countOf(faults.map(({ kind }) => kind));
  const byVerdict = countOf(judged.map(({ judgement }) => judgement.verdict));
  const wrong = countOf(findings.map(({ kind }) => kind));
  return {
    ...said,
    requests: judged.length,
    attempts: judged.reduce((sum, { asked }) => sum + asked.attempts.length, 0),
    verdicts: {
      complete: byVerdict.complete ?? 0,
      broken: byVerdict.broken ?? 0,
      refused: byVerdict.refused ?? 0,
      unknown: byVerdict.unknown ?? 0,
    },
    refusals: countOf(
      judged
        .flatMap(({ asked }) => asked.attempts)
        .flatMap(({ end, status, code }) =>
          end === 'refused' ? `${status} ${code ?? 'of the provider'}` : [],
        ),
    ) as Report['refusals'],
    faults: Object.fromEntries(faultKinds.map((kind) => [kind, byKind[kind] ?? 0])) as Report['faults'],
    kills: faults.filter(({ kind }) => kind.startsWith('kill')).length,
    streamsBrokenByGateway: uncharged(judged).length,
    longestUnchargedSeconds: Math.round(Math.max(0, ...uncharged(plain)) / 100) / 10,
    explained: countOf(judged.flatMap(({ judgement }) => judgement.explained)),
    wrong: { lost: wrong.lost ?? 0, double: wrong.double ?? 0, unexplained: wrong.unexplained ?? 0 },
    findings,
  };
}

function countOf<Name extends string>(names: readonly Name[]): Partial<Record<Name, number>> {
  const counts: Partial<Record<Name, number>> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

export function isClean({ wrong }: Report): boolean {
  return wrong.lost === 0 && wrong.double === 0 && wrong.unexplained === 0;
}

export function explainedCount({ explained }: Pick<Report, 'explained'>): number {
  return Object.values(explained).reduce((sum, count) => sum + count, 0);
}

/**
 * One coincidence (the ledger away until a gateway dies) explains every stream of that gateway, about ten; beyond
 * some of those, what has to be explained is a small share of what was answered.
 */
export function mostExplained({ verdicts }: Pick<Report, 'verdicts'>): number {
  return 10 + 0.02 * (verdicts.complete + verdicts.broken);
}

/** Why a run that found nothing proves nothing, a line each. */
export function shortcomingsOf(report: Report): readonly string[] {
  const { kills, killsPlanned, verdicts, faults, streamsBrokenByGateway } = report;
  const explained = explainedCount(report);
  const short: (readonly [boolean, string])[] = [
    [kills === 0, 'nothing was killed'],
    [kills < killsPlanned, `${kills} were killed of ${killsPlanned}`],
    [verdicts.complete === 0, 'no answer was complete'],
    [faults.kill_gateway > 0 && streamsBrokenByGateway === 0, 'no stream broke with its gateway'],
    [explained > mostExplained(report), `${explained} had to be explained`],
  ];
  return short.flatMap(([isSo, what]) => (isSo ? [what] : []));
}

/** As a person reads it. */
export function tableOf(report: Report): string {
  const { verdicts, faults, topUps, wrong } = report;
  const rows: (readonly [string, unknown])[] = [
    ['seed', report.seed],
    ['seconds of chaos', report.seconds],
    ['requests (attempts)', `${report.requests} (${report.attempts})`],
    ...Object.entries(verdicts).map(([name, count]) => [`  ${name}`, count] as const),
    ...Object.entries(report.refusals).map(([name, count]) => [`    ${name}`, count] as const),
    ['kills (planned)', `${report.kills} (${report.killsPlanned})`],
    ...Object.entries(faults).map(([name, count]) => [`  ${name}`, count] as const),
    ['streams that broke with their gateway', report.streamsBrokenByGateway],
    ['  uncharged without an outage, at most, s', report.longestUnchargedSeconds],
    ['top-ups acknowledged', `${topUps.acknowledged}, ${topUps.repeated} of them sent more than once`],
    ['all settled within, s', report.settledWithinSeconds],
    ['explained (may be)', `${explainedCount(report)} (${Math.floor(mostExplained(report))})`],
    ...Object.entries(report.explained).map(([rule, count]) => [`  ${rule}`, count] as const),
    ['lost', wrong.lost],
    ['double', wrong.double],
    ['unexplained', wrong.unexplained],
    ['logs and stories', report.folder],
  ];
  const width = Math.max(...rows.map(([name]) => Math.min(name.length, 40)));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** Beside the logs: the figures, the faults, and the whole story of each finding and of what is explained. */
export async function writeReport(report: Report, { comparison, faults }: Reported): Promise<void> {
  const write = (name: string, text: string) => writeFile(join(report.folder, name), text);
  const { findings, ...figures } = report;
  await write('report.json', `${JSON.stringify(figures, null, 2)}\n`);
  await write('faults.json', `${JSON.stringify(faults, null, 2)}\n`);
  await write('stories.txt', findings.map((finding) => storyOf(finding, faults)).join('\n\n'));
  const explained = comparison.judged.flatMap(({ asked, row, judgement }) =>
    judgement.explained.map((what) =>
      storyOf({ kind: 'explained', what, tenantId: asked.tenantId, asked, row }, faults),
    ),
  );
  await write('explained.txt', explained.join('\n\n'));
}

interface Story extends Omit<Finding, 'kind'> {
  readonly kind: FindingKind | 'explained';
}

/** What is known of a finding: the client's record, the ledger's row, and the faults of its time. */
export function storyOf(told: Story, faults: readonly Fault[]): string {
  const { kind, what, tenantId, asked, row } = told;
  const client = asked === null ? null : { ...asked, attempts: asked.attempts.map(toldAttempt) };
  const around = asked === null || asked.attempts.length === 0 ? [] : faultsAround(faults, asked);
  const parts = { tenantId, client, row: timesOf(row), faults: around.map(timesOf) };
  return `${kind}: ${what}\n${inspect(parts, { depth: 6, breakLength: 140, compact: 4 })}`;
}

function toldAttempt({ pieces, ...attempt }: Asked['attempts'][number]) {
  const text = pieces.map((piece) => piece.text).join('');
  return timesOf({
    ...attempt,
    firstByteAtMs: pieces[0]?.atMs ?? null,
    lastByteAtMs: pieces.at(-1)?.atMs ?? null,
    tokens: text.startsWith('data:') ? tokensDelivered({ ...attempt, pieces }) : null,
    end: attempt.end,
    lastWords: text.slice(-300),
  });
}

/** Times of day, as the logs have them. */
function timesOf<Told extends object | null>(told: Told): unknown {
  if (told === null) return null;
  return Object.fromEntries(
    Object.entries(told).map(([name, value]) =>
      name.endsWith('Ms') && typeof value === 'number'
        ? [name, new Date(value).toISOString()]
        : [name, value],
    ),
  );
}
