import type { LiteLlmMap } from './litellm.ts';
import type { AddedPrice, ChangedPrice, MemberChange, PriceDiff } from './price-diff.ts';

/** What an import found, and what it did or would do. */
export interface ImportResult {
  readonly file: string;
  readonly dryRun: boolean;
  readonly map: LiteLlmMap;
  readonly diff: PriceDiff;
}

/** So many changed prices are listed where not all are asked for. */
const listedChanges = 50;
const examples = 3;

/** For a person: a summary first, then what changes, then what was left out and why. */
export function reportText({ file, dryRun, map, diff }: ImportResult, verbose: boolean): string {
  const { added, changed, unchanged, kept } = diff;
  const written = added.length + changed.length;
  const providers = new Set(map.prices.map(({ provider }) => provider)).size;
  const counts =
    `${added.length} added, ${changed.length} changed, ${unchanged} unchanged` +
    `${kept === 0 ? '' : `, ${kept} imported earlier stay`}`;
  const lines = [
    `${file}: ${count(map.prices.length, 'price')} of ${count(providers, 'provider')}, ${map.skipped.length} skipped`,
    `${dryRun ? 'Would be' : 'Prices'}: ${counts}`,
    ...changedLines(changed, verbose),
    ...(verbose ? addedLines(added) : addedByProvider(added)),
    ...skippedLines(map, verbose),
    ...noteLines(map),
    '',
    closing(dryRun, written, verbose),
  ];
  return `${lines.join('\n')}\n`;
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

function closing(dryRun: boolean, written: number, verbose: boolean): string {
  const more = verbose ? '' : ' --verbose lists every entry.';
  if (dryRun) return `Dry run: nothing was changed.${more}`;
  return written === 0 ? `Nothing to change.${more}` : `Imported: ${count(written, 'price')}.${more}`;
}

const title = (text: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : ['', `${text}:`, ...lines];

function changedLines(changed: readonly ChangedPrice[], verbose: boolean): readonly string[] {
  const listed = verbose ? changed : changed.slice(0, listedChanges);
  const lines = listed.flatMap(({ price, changes }) => [
    `  ${price.provider} ${price.model}`,
    ...changes.map(changeLine),
  ]);
  const rest = changed.length - listed.length;
  return title('Changed', rest === 0 ? lines : [...lines, `  … and ${rest} more`]);
}

const changeLine = ({ member, from, to }: MemberChange): string =>
  `      ${member}  ${from ?? 'none'} -> ${to ?? 'none'}`;

/** What was priced before, and is now priced otherwise: what is merely finer than before isn't. */
const repriced = (changes: readonly MemberChange[] | null): readonly MemberChange[] =>
  (changes ?? []).filter(({ from }) => from !== null);

function addedByProvider(added: readonly AddedPrice[]): readonly string[] {
  const groups = Map.groupBy(added, ({ price }) => price.provider);
  const lines = [...groups].map(([provider, prices]) => {
    const differing = prices.filter(({ overBuiltIn }) => repriced(overBuiltIn).length > 0).length;
    const note = differing === 0 ? '' : `   ${differing} in place of another built-in price`;
    return `  ${provider.padEnd(24)}${String(prices.length).padStart(5)}${note}`;
  });
  return title('Added', lines);
}

function addedLines(added: readonly AddedPrice[]): readonly string[] {
  const lines = added.flatMap(({ price, overBuiltIn }) => {
    const note =
      overBuiltIn === null
        ? ''
        : overBuiltIn.length === 0
          ? '   (as built in)'
          : '   (built-in price -> this one)';
    return [`  ${price.provider} ${price.model}${note}`, ...(overBuiltIn ?? []).map(changeLine)];
  });
  return title('Added', lines);
}

function skippedLines({ skipped }: LiteLlmMap, verbose: boolean): readonly string[] {
  if (verbose)
    return title(
      'Skipped',
      skipped.map(({ key, reason }) => `  ${key} ${reason}`),
    );
  // Reasons that name another entry are one reason.
  const groups = Map.groupBy(skipped, ({ reason }) => reason.replace(/ "[^"]*"$/, ' another entry'));
  const lines = [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([reason, entries]) => `  ${String(entries.length).padStart(5)}  ${reason}`);
  return title('Skipped', lines);
}

function noteLines({ rounded, derived, free, uncharged }: LiteLlmMap): readonly string[] {
  const notes = [
    note(rounded, 'had digits behind the twelfth, taken for float noise and rounded'),
    note(derived, 'are Claude models whose one-hour cache writes are priced at twice the input'),
    note(free, 'cost nothing: a zero is taken for a zero'),
    ...[...uncharged].map(([member, count]) => `  ${member} of ${count} is left out: it isn't measured`),
  ];
  return title(
    'Notes',
    notes.filter((line) => line !== ''),
  );
}

function note(keys: readonly string[], text: string): string {
  if (keys.length === 0) return '';
  const more = keys.length > examples ? ', …' : '';
  return `  ${keys.length} ${text} (${keys.slice(0, examples).join(', ')}${more})`;
}

/** For a machine: everything, whatever `--verbose` says. */
export function reportJson({ file, dryRun, map, diff }: ImportResult): string {
  const named = ({ provider, model }: AddedPrice['price']) => ({ provider, model });
  const report = {
    file,
    dry_run: dryRun,
    prices: map.prices.length,
    added: diff.added.map(({ price, overBuiltIn }) => ({ ...named(price), over_built_in: overBuiltIn })),
    changed: diff.changed.map(({ price, changes }) => ({ ...named(price), changes })),
    unchanged: diff.unchanged,
    kept: diff.kept,
    skipped: map.skipped,
    rounded: map.rounded,
    derived: map.derived,
    free: map.free,
    uncharged: Object.fromEntries(map.uncharged),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
