export type EncodingName = 'o200k_base' | 'cl100k_base';

/**
 * Models of OpenAI's second generation: gpt-4 and gpt-3.5 (gpt-35 on Azure), their dated and turbo
 * versions, and the embeddings. gpt-4o, gpt-4.1, gpt-4.5 and all that came later use o200k_base.
 */
const cl100kModels = /^(gpt-4(?![\w.])|gpt-3\.?5|text-embedding-|davinci-002|babbage-002)/;

/**
 * The encoding of a model by its name, in the forms in which gateways and fine-tuning write it:
 * `openai/gpt-4-turbo`, `ft:gpt-3.5-turbo-0125:acme::7p4l`. A name that isn't known has the newest.
 */
export function encodingNameOf(model: string): EncodingName {
  const name = model.slice(model.lastIndexOf('/') + 1).replace(/^ft:/, '');
  return cl100kModels.test(name.toLowerCase()) ? 'cl100k_base' : 'o200k_base';
}
