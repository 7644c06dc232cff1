import { readFile } from 'node:fs/promises';

const page = new URL('../../docs/metrics.md', import.meta.url);
const row = /^\| `(?<name>[a-z0-9_]+)` \| (?<type>counter|gauge|histogram)\b/;

/** Every metric of docs/metrics.md, with its type. */
export async function documentedMetrics(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(page, 'utf8');
  const rows = text.split('\n').map((line) => row.exec(line)?.groups);
  return new Map(
    rows.flatMap((groups) => (groups === undefined ? [] : [[groups.name ?? '', groups.type ?? '']])),
  );
}

/** The same, as the series that Prometheus makes of them. */
export async function documentedSeries(): Promise<ReadonlySet<string>> {
  const series = new Set<string>();
  for (const [name, type] of await documentedMetrics()) {
    for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''])
      series.add(name + suffix);
  }
  return series;
}

/** Of Prometheus itself and of prom-client: no page of ours names each. */
const ofOthers = /^(up|ALERTS|(process|nodejs)_[a-z0-9_]+)$/;

const words = new Set(
  'by without on ignoring group_left group_right and or unless offset bool inf nan'.split(' '),
);

/** The names of the series that a PromQL expression asks for. */
export function seriesOf(expression: string): readonly string[] {
  const bare = expression
    .replaceAll(/"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/g, '')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ');
  const names = bare.matchAll(/(?<![\w.])[a-zA-Z_:][\w:]*(?!\w|\s*\()/g);
  return [...new Set([...names].map(([name]) => name))].filter((name) => !words.has(name.toLowerCase()));
}

/** Of these, what neither docs/metrics.md nor anyone else explains. */
export async function unknownSeries(expressions: readonly string[]): Promise<readonly string[]> {
  const documented = await documentedSeries();
  const asked = new Set(expressions.flatMap(seriesOf));
  return [...asked].filter((name) => !documented.has(name) && !ofOthers.test(name));
}
