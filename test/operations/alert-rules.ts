import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';

export const prometheusFolder = fileURLToPath(new URL('../../ops/prometheus/', import.meta.url));

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly AlertRule[] }[];
}

/** Paths of the files of a folder below ops/prometheus/. */
export async function filesOf(folder: 'rules' | 'tests'): Promise<readonly string[]> {
  const names = await readdir(join(prometheusFolder, folder));
  return names.sort().map((name) => join(prometheusFolder, folder, name));
}

async function parsed<T>(folder: 'rules' | 'tests'): Promise<readonly T[]> {
  const texts = await Promise.all((await filesOf(folder)).map((path) => readFile(path, 'utf8')));
  return texts.map((text) => parse(text) as T);
}

export async function alertRules(): Promise<readonly AlertRule[]> {
  const files = await parsed<RuleFile>('rules');
  return files.flatMap(({ groups }) => groups.flatMap(({ rules }) => rules));
}

/**
 * The rule files as text, with every window and every wait so many times shorter: scraped as many times as often, they
 * say the same of a fault that lasts as many times less. Limits in seconds stay as they are.
 */
export async function quickRules(timesFaster: number): Promise<readonly string[]> {
  const quick = (text: string) =>
    text.replaceAll(/\b(\d+)([smh])\b/g, (_, count: string, unit: 's' | 'm' | 'h') => {
      const unitMs = { s: 1_000, m: 60_000, h: 3_600_000 }[unit];
      return `${Math.ceil((Number(count) * unitMs) / timesFaster)}ms`;
    });
  const quickRule = (rule: AlertRule) => ({
    ...rule,
    expr: quick(rule.expr),
    ...(rule.for === undefined ? {} : { for: quick(rule.for) }),
  });
  const files = await parsed<RuleFile>('rules');
  return files.map(({ groups }) =>
    stringify({ groups: groups.map((group) => ({ ...group, rules: group.rules.map(quickRule) })) }),
  );
}

export interface TestedAlerts {
  readonly firing: ReadonlySet<string>;
  readonly silent: ReadonlySet<string>;
}

interface RuleTests {
  readonly tests: readonly {
    readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly unknown[] }[];
  }[];
}

/** One that names no alert says little of each. */
const alertName = /^ALERTS\{.*\balertname=(?<regular>~?)"(?<name>[^"]+)".*\}$/;

/** What the unit tests see firing, and what they see silent, of these alerts. */
export async function testedAlerts(names: readonly string[]): Promise<TestedAlerts> {
  const firing = new Set<string>();
  const silent = new Set<string>();
  for (const { tests } of await parsed<RuleTests>('tests')) {
    for (const { expr, exp_samples } of tests.flatMap((test) => test.promql_expr_test)) {
      const { name = '', regular } = alertName.exec(expr)?.groups ?? {};
      const meant = names.filter((one) => (regular ? new RegExp(`^(${name})$`).test(one) : one === name));
      for (const one of meant) (exp_samples.length > 0 ? firing : silent).add(one);
    }
  }
  return { firing, silent };
}
