import { anthropicCountTokens, anthropicMessages } from './anthropic-messages/index.ts';
import type { Dialect } from './dialect.ts';
import { geminiGenerate } from './gemini-generate/index.ts';
import { openaiChat } from './openai-chat/index.ts';
import { openaiCompletions } from './openai-completions/index.ts';
import { openaiEmbeddings } from './openai-embeddings/index.ts';
import { openaiResponses } from './openai-responses/index.ts';

/** Every wire format that is served: a new one is its folder and a line here. */
export const dialects: readonly Dialect[] = [
  openaiChat,
  openaiResponses,
  openaiEmbeddings,
  openaiCompletions,
  anthropicMessages,
  anthropicCountTokens,
  geminiGenerate,
];
