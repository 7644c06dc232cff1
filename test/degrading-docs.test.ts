import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const page = new URL('../docs/degrading.md', import.meta.url);
const text = readFileSync(page, 'utf8');
const rows = text.split('\n').filter((line) => /^\| (?!what |---)/.test(line));
const named = /\[[^\]]+\]\((?<path>\.\.\/[^)]+\.ts)\):\s+"(?<name>[^"]+)"/g;

it('names a test in every row of what happens when a part is slow, full, away or wrong', () => {
  expect(rows.length).toBeGreaterThan(25);
  const without = rows.filter((row) => !new RegExp(named.source).test(row.split('|').at(-2) ?? ''));
  expect(without).toEqual([]);
});

it('names tests that are there', () => {
  const missing = [...text.matchAll(named)].filter(({ groups }) => {
    const source = readFileSync(new URL(groups?.path ?? '', page), 'utf8');
    return !source.includes((groups?.name ?? '').replaceAll(/\s+/g, ' '));
  });
  expect(missing.map(([whole]) => whole)).toEqual([]);
});
