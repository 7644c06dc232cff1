import { asArray, asObject, asText, type JsonObject } from '../json.ts';

/** OpenAI's default, and the only one when answers didn't name it yet. */
export const assumedImageModel = 'gpt-image-1';

/**
 * Tokens of one image as OpenAI publishes them for its gpt-image models, by quality and size. Maps, since
 * what is looked up in them comes from outside, and an object has more members than were put into it.
 */
const publishedTokens: ReadonlyMap<unknown, ReadonlyMap<unknown, number>> = new Map([
  ['low', sizes(272, 408, 400)],
  ['medium', sizes(1_056, 1_584, 1_568)],
  ['high', sizes(4_160, 6_240, 6_208)],
]);

function sizes(square: number, portrait: number, landscape: number): ReadonlyMap<unknown, number> {
  return new Map([
    ['1024x1024', square],
    ['1024x1536', portrait],
    ['1536x1024', landscape],
  ]);
}

/** Answers name the quality and the size that were taken; where one doesn't, these are. */
const assumedQuality = 'medium';
const assumedSize = '1024x1024';

/** @param item an `image_generation_call` of an answer without counts of its images */
export function imageTokensOf({ quality, size }: JsonObject): number {
  const bySize = publishedTokens.get(quality) ?? publishedTokens.get(assumedQuality);
  return bySize?.get(size) ?? bySize?.get(assumedSize) ?? 0;
}

/** Each image that is shown before it is finished, as OpenAI publishes it. */
const tokensPerPartialImage = 100;
const mostPartialImages = 3;

/** At most, for one image that a tool is asked for: a quality that isn't set is chosen by the model. */
export function mostImageTokens({ quality, partial_images: partial }: JsonObject): number {
  const bySize = publishedTokens.get(quality) ?? publishedTokens.get('high');
  const shown = typeof partial === 'number' && partial > 0 ? mostPartialImages : 0;
  return Math.max(0, ...(bySize?.values() ?? [])) + shown * tokensPerPartialImage;
}

/** What the model of images reads for one of them: its own prompt, and the pictures that it starts from. */
const promptTokens = 2_000;
/** With `input_fidelity: "high"`, each picture has up to 6,240 tokens more; taken for two of them. */
const fidelityTokens = 12_480;

/** At most how many tokens of input one image takes. */
export function imagePromptTokens({ input_fidelity: fidelity }: JsonObject): number {
  return promptTokens + (fidelity === 'high' ? fidelityTokens : 0);
}

/** The models of the tools that generate images; the assumed one for a tool that names none. */
export function imageModelsOf(tools: unknown): readonly string[] {
  const models = new Set<string>();
  for (const entry of asArray(tools) ?? []) {
    const tool = asObject(entry);
    if (asText(tool?.type)?.startsWith('image_generation')) {
      models.add(asText(tool?.model) ?? assumedImageModel);
    }
  }
  return [...models];
}
