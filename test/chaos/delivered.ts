import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import type { Attempt } from './records.ts';

/** Tokens of the answer's text that the client had in whole events by then, as the provider counts them. */
export function tokensDelivered({ pieces }: Attempt, byMs = Number.POSITIVE_INFINITY): number {
  const arrived = pieces
    .filter(({ atMs }) => atMs <= byMs)
    .map(({ text }) => text)
    .join('');
  const whole = arrived.slice(0, arrived.lastIndexOf('\n\n') + 1);
  return countTokens(textOf(whole));
}

function textOf(events: string): string {
  const texts: string[] = [];
  for (const line of events.split('\n')) {
    if (!line.startsWith('data: {')) continue;
    const { choices = [] } = JSON.parse(line.slice('data: '.length)) as StreamedChunk;
    for (const { delta } of choices) texts.push(delta?.content ?? '');
  }
  return texts.join('');
}

interface StreamedChunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string | null } }[];
}

/** How long a stream's closing event came after the last of its text; 0 where both came together. */
export function closingWaitedMs({ pieces }: Attempt): number {
  const lastText = pieces.findLast(({ text }) => text.includes('"content"'));
  const closing = pieces.findLast(({ text }) => text.includes('data: [DONE]'));
  return lastText === undefined || closing === undefined ? 0 : closing.atMs - lastText.atMs;
}

/** Null where nothing of an answer arrived. */
export function lastByteAtMs({ pieces }: Attempt): number | null {
  return pieces.at(-1)?.atMs ?? null;
}
