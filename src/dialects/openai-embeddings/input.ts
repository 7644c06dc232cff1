import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { imageTokens } from '../media-estimate.ts';
import { countableInputs, type TextInput, textInput } from '../openai/inputs.ts';
import { TextEstimate } from '../text-estimate.ts';
import { addValue } from '../value-estimate.ts';

/**
 * What marks the start and the end of an input: nothing at OpenAI, two tokens with Mistral's and most open
 * models, and as many again where Voyage and others put the purpose of the embedding before it.
 */
const tokensPerInput = 4;

/** Members under which providers take an image: its bytes or its place aren't text. */
const imageMembers: ReadonlySet<string> = new Set(['image', 'image_url', 'image_base64', 'images']);

/** What is to be embedded: as OpenAI takes it, or, at other providers, an object with texts and images. */
export type EmbeddingInput = TextInput | { readonly kind: 'parts'; readonly parts: JsonObject };

export function embeddingInput(entry: unknown): EmbeddingInput | null {
  const parts = asObject(entry);
  return parts === null ? textInput(entry) : { kind: 'parts', parts };
}

/** Without recursion: parts may nest deeper than the stack. */
function addParts(estimate: TextEstimate, parts: JsonObject, model: string): void {
  const left: unknown[] = [parts];
  while (left.length > 0) {
    const value = left.pop();
    const object = asObject(value);
    const list = asArray(value);
    if (object === null && list === null) addValue(estimate, value);
    for (const entry of list ?? []) left.push(entry);
    for (const [name, member] of Object.entries(object ?? {})) {
      if (imageMembers.has(name)) {
        const images = asArray(member)?.length ?? 1;
        estimate.addTokens(images * imageTokens(model, { source: null, detail: null }));
      } else left.push(member);
    }
  }
}

/** At most how many tokens the inputs have. */
export function estimateInputs(inputs: readonly EmbeddingInput[], model: string): number {
  const estimate = new TextEstimate();
  for (const input of inputs) {
    if (input.kind === 'ids') {
      estimate.addTokens(input.count);
      continue;
    }
    estimate.addTokens(tokensPerInput);
    if (input.kind === 'text') estimate.add(input.text);
    else addParts(estimate, input.parts, model);
  }
  return estimate.total();
}

/** The text of an input in parts: its own `text`, or the texts in its `content`. */
function textsOf(parts: JsonObject): TextInput[] {
  return [parts, ...(asArray(parts.content) ?? [])].flatMap((part) => {
    const text = asText(asObject(part)?.text);
    return text === null ? [] : [{ kind: 'text', text }];
  });
}

/** The inputs as OpenAI counts them; of parts the texts alone, since nothing shows what an image comes to. */
export function countablePrompt(inputs: readonly EmbeddingInput[]): Countable {
  return countableInputs(
    inputs.flatMap((input) => (input.kind === 'parts' ? textsOf(input.parts) : [input])),
  );
}
