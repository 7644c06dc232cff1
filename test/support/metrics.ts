import { expect } from 'vitest';
import type { TestGateway } from './gateway.ts';

/** One time series and its value, as Prometheus reads it. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Where a gateway says that its metrics are. */
export function metricsUrlOf({ output }: Pick<TestGateway, 'output'>): string {
  const url = /^Metrics +(http:\S+)$/m.exec(output())?.[1];
  if (url === undefined) throw new Error(`no metrics are told of:\n${output()}`);
  return url;
}

export async function scrape(gateway: Pick<TestGateway, 'output'>): Promise<Scrape> {
  const response = await fetch(metricsUrlOf(gateway));
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
  return new Scrape(await response.text());
}

/** An answer of `/metrics`. */
export class Scrape {
  readonly text: string;
  readonly samples: readonly Sample[];

  constructor(text: string) {
    this.text = text;
    this.samples = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map(sampleOf);
  }

  /** The sum of all series of a name that have these labels; null where there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | null {
    const wanted = Object.entries(labels);
    const found = this.samples.filter(
      (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
    );
    return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
  }

  /** Names of metrics, those without a series included. */
  get names(): readonly string[] {
    return [...this.text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!);
  }
}

function sampleOf(line: string): Sample {
  const parts = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (parts === null) throw new Error(`no sample: ${line}`);
  const labels = [...(parts[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return {
    name: parts[1]!,
    labels: Object.fromEntries(labels.map(([, name, value]) => [name!, value!])),
    value: Number(parts[3]),
  };
}
