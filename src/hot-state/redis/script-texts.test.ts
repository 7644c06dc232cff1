import { expect, test } from 'vitest';
import { readScriptText, readScriptTexts } from './script-texts.ts';

const functionNames = (text: string) => [...text.matchAll(/^local function (\w+)/gm)].map(([, name]) => name);
const mentions = (text: string, name = '') => text.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0;

test('a script has all of its fragments, and no function that it does not use', () => {
  for (const { text } of readScriptTexts()) {
    expect(text).not.toMatch(/-- include/);
    expect(functionNames(text).filter((name) => mentions(text, name) < 2)).toEqual([]);
  }
});

test('what only an unused function uses is left out with it', () => {
  expect(functionNames(readScriptText('quota_confirm').text)).toEqual(['timeMs', 'lineage', 'confirm']);
});
