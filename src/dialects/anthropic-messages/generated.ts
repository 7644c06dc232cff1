import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject, jsonText } from '../json.ts';
import { addPiece, joined, type Pieces } from '../text-pieces.ts';
import { surplusTokens } from './claude-tokens.ts';

/**
 * What Claude writes around the name and the arguments of a tool call, around its thinking, and for a
 * citation, which is a pointer that the model writes too: the least of what its recorded answers show.
 */
const tokensPerToolCall = 34;
const tokensPerThinking = 8;
const tokensPerCitation = 6;
/** Thinking that comes encrypted: so many characters at most hide a token of it. */
const encryptedCharactersPerToken = 12;

/**
 * The text that a model generated, collected from the blocks of a message or from the deltas of a stream.
 * It is counted only where upstream reports no usage, so nothing but the text is kept: no signature, and
 * nothing of what a server's tool brought.
 */
export class GeneratedText {
  readonly #blocks = new Map<unknown, Pieces>();
  #overhead = 0;
  #isEmpty = true;
  #webSearches = 0;

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Searches that brought results: those that failed are not charged. */
  get webSearches(): number {
    return this.#webSearches;
  }

  /**
   * A content block: of a whole answer as it is, of a stream as it starts.
   * @param index the block's index; any value keeps its block apart from the others
   */
  addBlock(index: unknown, block: JsonObject): void {
    switch (block.type) {
      case 'text':
        this.#addText(index, block.text);
        this.#overhead += tokensPerCitation * (asArray(block.citations)?.length ?? 0);
        break;
      case 'thinking':
        this.#addText(index, block.thinking);
        this.#addOverhead(tokensPerThinking);
        break;
      case 'redacted_thinking':
        this.#addOverhead(
          tokensPerThinking + Math.ceil((asText(block.data)?.length ?? 0) / encryptedCharactersPerToken),
        );
        break;
      case 'compaction':
        this.#addText(index, block.content);
        break;
      case 'tool_use':
      case 'server_tool_use':
      case 'mcp_tool_use':
        this.#addToolCall(index, block);
        break;
      case 'web_search_tool_result':
        if (asArray(block.content) !== null) this.#webSearches++;
        break;
    }
  }

  /** A `delta` of a block in a stream. */
  addDelta(index: unknown, delta: JsonObject): void {
    switch (delta.type) {
      case 'text_delta':
        this.#addText(index, delta.text);
        break;
      case 'thinking_delta':
        this.#addText(index, delta.thinking);
        break;
      case 'input_json_delta':
        this.#addText(index, delta.partial_json);
        break;
      case 'compaction_delta':
        this.#addText(index, delta.content);
        break;
      case 'citations_delta':
        this.#overhead += tokensPerCitation;
        break;
    }
  }

  /** @param model what generated it, by any of its names */
  countable(model: string): Countable {
    const texts = [...this.#blocks.values()].map(joined).filter((text) => text !== '');
    return { texts, overhead: this.#overhead + surplusTokens(texts, model) };
  }

  #addToolCall(index: unknown, { name, input }: JsonObject): void {
    this.#addOverhead(tokensPerToolCall);
    this.#addText(index, name);
    const call = asObject(input);
    // A stream starts with an empty input and sends the real one as deltas.
    if (call !== null && Object.keys(call).length > 0) this.#addText(index, jsonText(call));
  }

  /** For what was generated though there is no text of it. */
  #addOverhead(tokens: number): void {
    this.#overhead += tokens;
    this.#isEmpty = false;
  }

  #addText(index: unknown, value: unknown): void {
    const text = asText(value);
    if (text === null) return;
    this.#isEmpty = false;
    addPiece(this.#blocks, index, text);
  }
}
