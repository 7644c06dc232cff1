import { expect, test } from 'vitest';
import { readCorpus } from '../../test/support/corpus.ts';
import { streamContext } from '../../test/support/pipeline.ts';
import { anthropicMessages } from '../dialects/anthropic-messages/index.ts';
import type { StreamFollower } from '../dialects/dialect.ts';
import { geminiGenerate } from '../dialects/gemini-generate/index.ts';
import { openaiChat } from '../dialects/openai-chat/index.ts';
import { openaiCompletions } from '../dialects/openai-completions/index.ts';
import { openaiResponses } from '../dialects/openai-responses/index.ts';
import { quirksOf } from '../domain/quirks.ts';

/** Tokens at most, as a reading shows them: no token is less than a byte. */
function tokensOf(follower: StreamFollower): number {
  const { texts, overhead } = follower.reading().generated;
  return overhead + texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

test.each([
  { api: 'chat.completions', dialect: openaiChat },
  { api: 'completions', dialect: openaiCompletions },
  { api: 'messages', dialect: anthropicMessages },
  { api: 'responses', dialect: openaiResponses },
  { api: 'streamGenerateContent', dialect: geminiGenerate },
])('no event of a recorded stream of $api adds more than its follower tells', ({ api, dialect }) => {
  let looked = 0;
  for (const { stream, response, provider, id } of readCorpus(api)) {
    if (!stream || response.status !== 200) continue;
    const contentType = response.content_type ?? '';
    const follower = dialect.followStream({ ...streamContext(), quirks: quirksOf(provider), contentType });
    for (const event of response.body.split(/(?<=\r?\n\r?\n)/)) {
      const before = { tokens: tokensOf(follower), atMost: follower.generatedAtMost };
      follower.push(Buffer.from(event));
      const told = follower.generatedAtMost - before.atMost;
      expect(told, `${id}: ${event}`).toBeGreaterThanOrEqual(tokensOf(follower) - before.tokens);
      looked++;
    }
  }
  console.info(`${api}: ${looked} events`);
});
