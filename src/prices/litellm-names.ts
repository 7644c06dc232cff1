import { providerName } from './provider-names.ts';

/** What LiteLLM calls families of one provider's models, and its own names of providers. */
const families: ReadonlyMap<string, string> = new Map([
  ['azure_text', 'azure'],
  ['bedrock_converse', 'bedrock'],
  ['bedrock_mantle', 'bedrock'],
  ['cohere_chat', 'cohere'],
  ['fireworks_ai-embedding-models', 'fireworks'],
  ['text-completion-codestral', 'codestral'],
  ['text-completion-inception', 'inception'],
  ['text-completion-openai', 'openai'],
]);

/** Families of Vertex AI: vertex_ai-language-models, vertex_ai-anthropic_models, … */
const vertexFamily = /^vertex_ai-/;

/** Prefixes beside the provider's name in the entry. */
const morePrefixes: ReadonlyMap<string, string> = new Map([
  ['amazon_nova', 'amazon-nova'],
  ['azure_text', 'azure'],
  ['bedrock_converse', 'bedrock'],
  ['cohere_chat', 'cohere'],
  ['fireworks_ai-embedding-models', 'fireworks_ai'],
]);

/** Prices of one model at sizes and qualities of an image: no upstream knows a model by such a name. */
const imageSize = /(^|\/)(\d+-x-\d+|max-x-max)\//;
/** What a model of so many parameters costs at hosts that price by size. */
const parameterClass = /^(together|fireworks)-ai-/;

export interface ModelName {
  readonly provider: string;
  /** As the upstream itself knows it; with a region in front where the price is the region's. */
  readonly model: string;
  /** Whether the key names the provider, which tells it from a namesake at another one. */
  readonly isPrefixed: boolean;
}

const familyOf = (liteLlmProvider: string): string =>
  vertexFamily.test(liteLlmProvider) ? 'vertex_ai' : liteLlmProvider;

/** The price book's name of a provider in LiteLLM's map. */
export function providerOf(liteLlmProvider: string): string {
  const family = familyOf(liteLlmProvider);
  return providerName(families.get(family) ?? family);
}

/** Which provider's model an entry is about, or why it is about none. */
export function modelNameOf(key: string, liteLlmProvider: string): ModelName | { readonly reason: string } {
  if (imageSize.test(key)) return { reason: 'is a size of an image, not a model' };
  if (parameterClass.test(key)) return { reason: 'is a class of sizes, not a model' };
  const family = familyOf(liteLlmProvider);
  const prefix = [family, morePrefixes.get(family)].find(
    (it) => it !== undefined && key.startsWith(`${it}/`),
  );
  const model = prefix === undefined ? key : key.slice(prefix.length + 1);
  const provider = providerOf(liteLlmProvider);
  if (!usableProvider.test(provider)) return { reason: 'has no usable provider' };
  if (model === '' || model.length > 256 || !model.isWellFormed() || model.includes('\0')) {
    return { reason: 'has no usable name' };
  }
  return { provider, model, isPrefixed: prefix !== undefined };
}

/** As the admin API takes it. */
const usableProvider = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
