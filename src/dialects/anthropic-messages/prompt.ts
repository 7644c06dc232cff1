import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, type JsonObject, jsonText } from '../json.ts';
import { formatOf, hiddenTokens, surplusTokens } from './claude-tokens.ts';
import { type ContentVisitor, visitContent } from './content.ts';

/** Around the whole prompt and around each message, measured on recorded requests. */
const tokensPerRequest = 3;
const tokensPerMessage = 3;

/**
 * The prompt as Claude counts it at least, as near as can be told without its tokenizer. Text only: what
 * an image costs is nowhere in the request. It is billed where the provider was asked and never got to
 * its own count, and waiting for that must not make a request cheaper.
 */
export function countablePrompt(request: JsonObject, model: string): Countable {
  const texts: string[] = [];
  let hasMore = false;
  let overhead = tokensPerRequest + hiddenTokens(request, model, 'least');
  const visitor: ContentVisitor = {
    text: (text) => texts.push(text),
    json: (value) => texts.push(jsonText(value)),
    media: () => {
      hasMore = true;
    },
    around: (tokens) => {
      overhead += tokens;
    },
  };
  visitContent(request.system, model, visitor);
  for (const entry of asArray(request.messages) ?? []) {
    overhead += tokensPerMessage;
    visitContent(asObject(entry)?.content, model, visitor);
  }
  for (const tool of asArray(request.tools) ?? []) {
    // A deferred tool is shown only once a search has found it.
    if (asObject(tool)?.defer_loading !== true) visitor.json(tool);
  }
  const format = formatOf(request);
  if (format !== null) visitor.json(format);
  return { texts, overhead: overhead + surplusTokens(texts, model), ...(hasMore ? { hasMore } : {}) };
}
