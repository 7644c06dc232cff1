import { anthropicCountTokens, anthropicMessages } from './anthropic-messages/index.ts';
import { anthropicWording } from './anthropic-messages/wording.ts';
import type { Wording } from './errors.ts';
import type { Format } from './format.ts';
import { geminiFormatOf } from './gemini-generate/index.ts';
import { geminiWording } from './gemini-generate/wording.ts';
import { openaiWording } from './openai/wording.ts';
import { openaiChat } from './openai-chat/index.ts';
import { openaiCompletions } from './openai-completions/index.ts';
import { openaiEmbeddings } from './openai-embeddings/index.ts';
import { openaiResponses } from './openai-responses/index.ts';

/** What is served at a path, and in whose words it is refused. */
export interface Route {
  readonly target: Format | 'models' | null;
  readonly wording: Wording;
}

export type Router = (path: string) => Route;

/** Finds what a path stands for: OpenAI's and Anthropic's with `/v1` or without, so that one base URL fits every client. */
export function createRouter(): Router {
  const targets = new Map<string, Format | 'models'>([
    ['/chat/completions', openaiChat],
    ['/responses', openaiResponses()],
    ['/embeddings', openaiEmbeddings],
    ['/completions', openaiCompletions],
    ['/messages', anthropicMessages],
    ['/messages/count_tokens', anthropicCountTokens],
    ['/models', 'models'],
  ]);
  return (path) => {
    const gemini = geminiFormatOf(path);
    if (gemini !== null) return { target: gemini, wording: geminiWording };
    const bare = path.startsWith('/v1/') ? path.slice('/v1'.length) : path;
    return { target: targets.get(bare) ?? null, wording: wordingAt(bare) };
  };
}

function wordingAt(path: string): Wording {
  if (path.startsWith('/v1beta/')) return geminiWording;
  return path.startsWith('/messages') ? anthropicWording : openaiWording;
}
