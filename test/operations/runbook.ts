import { readFile } from 'node:fs/promises';

const page = new URL('../../docs/operations.md', import.meta.url);

export function readRunbook(): Promise<string> {
  return readFile(page, 'utf8');
}

/** The code blocks of a language, in their order. */
export function blocksOf(text: string, language: 'sh' | 'sql'): readonly string[] {
  return [...text.matchAll(new RegExp(`^ *\`\`\`${language}\n(.*?)^ *\`\`\`$`, 'gms'))].map(
    ([, block = '']) => block,
  );
}
