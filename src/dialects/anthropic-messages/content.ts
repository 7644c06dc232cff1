import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { fileTokens, imageTokens, type MediaSource } from '../media-estimate.ts';

/** What is found in the content of a prompt. */
export interface ContentVisitor {
  /** A text that the model is shown. */
  text(text: string): void;
  /** JSON that the model is shown: the input of a tool call. */
  json(value: unknown): void;
  /** Something that only becomes tokens with the provider, with an upper bound of how many. */
  media(tokens: number): void;
  /** What stands around a block of this kind at least, in tokens. */
  around(tokens: number): void;
}

const toolCallTokens = 20;
const toolResultTokens = 8;

/** Thinking and search results that came encrypted: so many characters at least hide a token. */
const encryptedCharactersPerToken = 4;

function sourceOf({ type, data, url, file_id: file }: JsonObject): MediaSource | null {
  const base64 = asText(data);
  if (type === 'base64' && base64 !== null) return { base64 };
  const reference = asText(url) ?? asText(file);
  return reference === null ? null : { reference };
}

function encryptedTokens(text: unknown): number {
  return (asText(text)?.length ?? 0) / encryptedCharactersPerToken;
}

/**
 * Shows a visitor what the model is shown of content: a text, a block, or a list of blocks. Without
 * recursion: blocks hold blocks, and a body may nest deeper than the stack.
 */
export function visitContent(content: unknown, model: string, visitor: ContentVisitor): void {
  const left: unknown[] = [content];
  while (left.length > 0) {
    const value = left.pop();
    const block = asObject(value);
    if (typeof value === 'string') visitor.text(value);
    else if (block !== null) visitBlock(block, { model, visitor, left });
    else pushReversed(left, asArray(value) ?? []);
  }
}

/** The last one pushed is the first to be visited, and texts are shown in order. */
function pushReversed(left: unknown[], values: readonly unknown[]): void {
  for (let index = values.length - 1; index >= 0; index--) left.push(values[index]);
}

interface Visit {
  readonly model: string;
  readonly visitor: ContentVisitor;
  /** What is still to be visited; its end comes first. */
  readonly left: unknown[];
}

function visitBlock(block: JsonObject, visit: Visit): void {
  const { visitor, model } = visit;
  const source = asObject(block.source) ?? {};
  switch (block.type) {
    case 'text':
      visitText(visitor, block.text);
      return;
    case 'image':
      visitor.media(imageTokens(model, { source: sourceOf(source), detail: null }));
      return;
    case 'document':
      visitDocument(block, source, visit);
      return;
    case 'thinking':
      visitThinking(visitor, block);
      return;
    case 'redacted_thinking':
      visitor.media(encryptedTokens(block.data));
      return;
    case 'tool_use':
    case 'server_tool_use':
    case 'mcp_tool_use':
      visitor.around(toolCallTokens);
      visitText(visitor, block.name);
      visitor.json(block.input);
      return;
    case 'fallback':
      // Marks where another model took over; the model isn't shown it.
      return;
    default:
      visitOther(block, visit);
  }
}

function visitText(visitor: ContentVisitor, value: unknown): void {
  const text = asText(value);
  if (text !== null) visitor.text(text);
}

function visitThinking(visitor: ContentVisitor, { thinking, signature }: JsonObject): void {
  const text = asText(thinking);
  if (text !== null) visitor.text(text);
  // The whole of it is in the signature where the client was shown none.
  else visitor.media(encryptedTokens(signature));
}

function visitDocument(block: JsonObject, source: JsonObject, { visitor, left }: Visit): void {
  visitText(visitor, block.title);
  visitText(visitor, block.context);
  if (source.type === 'text') visitText(visitor, source.data);
  else if (source.type === 'content') left.push(source.content);
  else visitor.media(fileTokens(sourceOf(source)));
}

/** Members of a block that say how it is to be handled, and that no model is shown. */
const unseenMembers: ReadonlySet<string> = new Set([
  'type',
  'id',
  'tool_use_id',
  'cache_control',
  'citations',
  'caller',
  'is_error',
]);

/** Results of tools, of the client's and of the provider's, and kinds of blocks that are yet to come. */
function visitOther(block: JsonObject, { visitor, left }: Visit): void {
  visitor.around(toolResultTokens);
  const shown: unknown[] = [];
  for (const [name, value] of Object.entries(block)) {
    if (unseenMembers.has(name)) continue;
    const source = name === 'source' ? asObject(value) : null;
    if (source?.type === 'base64') visitor.media(fileTokens(sourceOf(source)));
    else if (name.startsWith('encrypted_')) visitor.media(encryptedTokens(value));
    else shown.push(value);
  }
  pushReversed(left, shown);
}
