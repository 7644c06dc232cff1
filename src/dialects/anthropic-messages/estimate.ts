import { asArray, asObject, type JsonObject } from '../json.ts';
import { TextEstimate } from '../text-estimate.ts';
import { addValue, templateTokens } from '../value-estimate.ts';
import { estimateFactorOf, formatOf, hiddenTokens } from './claude-tokens.ts';
import { type ContentVisitor, visitContent } from './content.ts';
import { fetchedToolTokens } from './tools.ts';

/** Beside the content of a message, its role among it. */
const tokensPerMessage = 6;
const tokensOfSystem = 6;
/** Around a call of a tool or its result, beyond what they have at least. */
const tokensPerBlock = 25;
/** Above what is known to be hidden: an upper estimate must not fall short by a line of it. */
const marginTokens = 30;
/** The tools of an MCP server, which only the provider asks for them. */
const tokensPerMcpServer = 5_000;

/**
 * At most how many tokens the prompt of a request has, but for what its provider's tools fetch into it
 * beyond their first use, and for what an MCP server offers beyond the usual.
 */
export function estimateInputTokens(request: JsonObject, model: string): number {
  const texts = new TextEstimate();
  let others = 0;
  const visitor: ContentVisitor = {
    text: (text) => texts.add(text),
    json: (value) => addValue(texts, value),
    media: (tokens) => {
      others += tokens;
    },
    around: (tokens) => {
      others += tokens + tokensPerBlock;
    },
  };
  for (const entry of asArray(request.messages) ?? []) {
    others += tokensPerMessage;
    visitContent(asObject(entry)?.content, model, visitor);
  }
  if (request.system !== undefined) others += tokensOfSystem;
  visitContent(request.system, model, visitor);
  const tools = asArray(request.tools) ?? [];
  for (const tool of tools) addValue(texts, tool);
  const format = formatOf(request);
  if (format !== null) addValue(texts, format);
  others += tokensPerMcpServer * (asArray(request.mcp_servers)?.length ?? 0);
  // By the family, not by the name: a public name needn't say that it is a Claude.
  const template = templateTokens('claude', tools.length > 0);
  others +=
    Math.max(template, marginTokens + hiddenTokens(request, model, 'most')) + fetchedToolTokens(request);
  return Math.ceil(texts.total() * estimateFactorOf(model) + others);
}
