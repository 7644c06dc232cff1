/**
 * Whose vocabulary a model has, by its name in the forms in which gateways and fine-tuning write it.
 * own: OpenAI's, which we count by. other: one that is known not to be. unknown: a deployment's own name.
 */
export type Vocabulary = 'own' | 'other' | 'unknown';

/** gpt-oss has OpenAI's vocabulary, but whoever hosts it adds a template of its own. */
const ownModels =
  /^(gpt-(3|4|5|6)|gpt-35|chatgpt|o[1-9](?![a-z\d])|codex|computer-use|text-embedding-|text-davinci|davinci|babbage)/;

const otherModels =
  /claude|gemini|gemma|palm|llama|llava|stral|qwen|qwq|deepseek|grok|kimi|moonshot|glm|minimax|abab|command|aya-|nova-|titan|jamba|phi-?\d|sonar|granite|ernie|hunyuan|nemotron|hermes|wizard|yi-|gpt-oss|solar|reka|dbrx|falcon|olmo|smollm/;

export function vocabularyOf(model: string): Vocabulary {
  const name = model
    .toLowerCase()
    .slice(model.lastIndexOf('/') + 1)
    .replace(/^ft:/, '');
  if (ownModels.test(name)) return 'own';
  return otherModels.test(model.toLowerCase()) ? 'other' : 'unknown';
}
