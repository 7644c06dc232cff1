import * as tokenizerModels from 'gpt-tokenizer/models';
import { builtInModels } from '../prices/genai-prices.ts';

/** A model that a provider serves now, by the provider's own name. */
export interface CurrentModel {
  readonly name: string;
  /** Null where it isn't known. */
  readonly maxOutputTokens: number | null;
}

/** What is known of a model of OpenAI's. */
interface OpenAiFacts {
  readonly supported_endpoints?: readonly string[];
  readonly deprecated?: boolean;
  readonly max_output_tokens?: number;
}

const openAiEndpoints = ['chat_completions', 'responses', 'embeddings', 'completions'];

/** GPT-3 and the embeddings of its time were shut down in 2024, which the list doesn't say; open weights aren't served. */
const notServed = /^((text|code)-(?!embedding-)|(ada|babbage|curie|davinci|cushman)(?!-002$)|gpt-oss)/;

/** For instance 5 of "gpt-5.6-sol"; null where a name has none. */
function generationOf(name: string): number | null {
  const generation = /^gpt-(\d+)/.exec(name)?.[1];
  return generation === undefined ? null : Number(generation);
}

/**
 * OpenAI's models by the tokenizer's list, which tells their endpoints, and what the price book has of a
 * generation that is newer than that list.
 */
export function openAiModels(nowMs: number): readonly CurrentModel[] {
  const facts = Object.entries(tokenizerModels as unknown as Readonly<Record<string, OpenAiFacts>>);
  const listed = facts.flatMap(([name, { supported_endpoints: endpoints = [], ...model }]) => {
    const isServed = openAiEndpoints.some((endpoint) => endpoints.includes(endpoint));
    if (name === 'default' || model.deprecated === true || !isServed || notServed.test(name)) return [];
    return [{ name, maxOutputTokens: model.max_output_tokens ?? null }];
  });
  const newest = Math.max(...facts.map(([name]) => generationOf(name) ?? 0));
  const newer = builtInModels('openai', nowMs).filter(({ name }) => (generationOf(name) ?? 0) > newest);
  const partly = new Set(
    builtInModels('openai', nowMs).flatMap(({ name, wholly }) => (wholly ? [] : [name])),
  );
  return [...listed, ...newer.map(({ name }) => ({ name, maxOutputTokens: null }))].filter(
    ({ name }) => !partly.has(name),
  );
}

/**
 * Claude 1 to 3 was retired (Anthropic's page on model deprecations), which the price book doesn't say. A
 * request names its own maximum there.
 */
export function anthropicModels(nowMs: number): readonly CurrentModel[] {
  return builtInModels('anthropic', nowMs)
    .filter(({ name }) => !/^claude-(v?[12]|instant|3)(-|$)/.test(name))
    .map(({ name }) => ({ name, maxOutputTokens: null }));
}

/** Of every model since 2.5 (ai.google.dev/gemini-api/docs/models); those that write images write less. */
const geminiMaxOutputTokens = 65_536;

/**
 * Gemini since 2.5, as far as `generateContent` serves it: older ones were shut down (Google's page on
 * deprecations), and live, speech and embedding models have endpoints or names of their own.
 */
export function geminiModels(nowMs: number): readonly CurrentModel[] {
  return builtInModels('gemini', nowMs)
    .filter(({ name, wholly }) => wholly && /^gemini-(2\.5|[3-9])/.test(name))
    .filter(({ name }) => !/-(live|tts|embedding)\b/.test(name))
    .map(({ name }) => ({ name, maxOutputTokens: geminiMaxOutputTokens }));
}
