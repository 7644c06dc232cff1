import type { Quirks } from '../../domain/quirks.ts';
import type { Usage } from '../../domain/usage.ts';
import { isCount } from '../count.ts';
import { asArray, asObject, type JsonObject } from '../json.ts';

/** Google's names of the counts. `total` = prompt + candidates + thoughts + toolUse, in every recorded answer that has them all. */
const countMembers = {
  prompt: 'promptTokenCount',
  /** A part of the prompt. */
  cached: 'cachedContentTokenCount',
  candidates: 'candidatesTokenCount',
  thoughts: 'thoughtsTokenCount',
  /** What tools of Google's own put before the model, beside the prompt. */
  toolUse: 'toolUsePromptTokenCount',
  total: 'totalTokenCount',
} as const;

const detailMembers = {
  prompt: 'promptTokensDetails',
  cached: 'cacheTokensDetails',
  candidates: 'candidatesTokensDetails',
  toolUse: 'toolUsePromptTokensDetails',
} as const;

type Counts = Readonly<Partial<Record<keyof typeof countMembers, number>>>;

/** Modalities with a price of their own; text, films and documents have that of text. */
interface Modalities {
  readonly audio: number | undefined;
  readonly image: number | undefined;
}

type Details = Readonly<Record<keyof typeof detailMembers, Modalities>>;

/** Enums come as numbers to who asks for `enum-encoding=int`. */
const imageModalities: ReadonlySet<unknown> = new Set(['IMAGE', 2]);
const audioModalities: ReadonlySet<unknown> = new Set(['AUDIO', 4]);

function isReported(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Whether it says anything of tokens: on Vertex all but the last chunk of a stream name only the kind of traffic. */
export function hasCounts(usage: JsonObject): boolean {
  return Object.values(countMembers).some((name) => isReported(usage[name]));
}

/** Null where one of the counts can't be one: who miscounts one of them may have miscounted the others. */
function readCounts(usage: JsonObject): Counts | null {
  const counts: Partial<Record<keyof typeof countMembers, number>> = {};
  for (const [key, name] of Object.entries(countMembers)) {
    const value = usage[name];
    if (!isReported(value)) continue;
    if (!isCount(value)) return null;
    counts[key as keyof typeof countMembers] = value;
  }
  return counts;
}

function readModalities(list: unknown): Modalities | null {
  let audio: number | undefined;
  let image: number | undefined;
  for (const entry of asArray(list) ?? []) {
    const { modality, tokenCount } = asObject(entry) ?? {};
    if (!isReported(tokenCount)) continue;
    if (!isCount(tokenCount)) return null;
    if (audioModalities.has(modality)) audio = (audio ?? 0) + tokenCount;
    if (imageModalities.has(modality)) image = (image ?? 0) + tokenCount;
  }
  return { audio, image };
}

function readDetails(usage: JsonObject): Details | null {
  const prompt = readModalities(usage[detailMembers.prompt]);
  const cached = readModalities(usage[detailMembers.cached]);
  const candidates = readModalities(usage[detailMembers.candidates]);
  const toolUse = readModalities(usage[detailMembers.toolUse]);
  if (prompt === null || cached === null || candidates === null || toolUse === null) return null;
  return { prompt, cached, candidates, toolUse };
}

interface Terms {
  readonly prompt: number;
  readonly toolUse: number;
  readonly candidates: number;
  /** Beside the candidates; undefined where nothing says that there were any. */
  readonly thoughts: number | undefined;
}

/**
 * The terms of the total. Google's JSON leaves out what is zero, so candidates that are missing are none, but
 * for what the total has beyond the rest. A prompt is never empty: where nothing gives it away, it is unknown.
 */
function termsOf({ prompt, candidates, thoughts, toolUse = 0, total }: Counts): Terms | null {
  const named = (prompt ?? 0) + (candidates ?? 0) + (thoughts ?? 0) + toolUse;
  const beyond = total === undefined ? 0 : total - named;
  if (prompt === undefined) {
    return beyond > 0 ? { prompt: beyond, toolUse, candidates: candidates ?? 0, thoughts } : null;
  }
  if (candidates === undefined) return { prompt, toolUse, candidates: Math.max(0, beyond), thoughts };
  // Previews of 2.5 on Vertex counted thoughts among the candidates: the total shows it.
  const areInside = thoughts !== undefined && beyond === -thoughts && thoughts <= candidates;
  if (areInside) return { prompt, toolUse, candidates: candidates - thoughts, thoughts };
  // Thinking that is named nowhere, as Gemini's other API has it too.
  const hidden = thoughts === undefined && beyond > 0 ? beyond : thoughts;
  return { prompt, toolUse, candidates, thoughts: hidden };
}

type Classes = Readonly<Record<string, number | undefined>>;

/** Undefined where neither is reported: a modality that isn't listed isn't a class. */
function sumOf(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : a + (b ?? 0);
}

function inputClassesOf(
  { prompt, toolUse }: Terms,
  cached: number | undefined,
  details: Details,
  quirks: Quirks,
): Classes {
  const all = prompt + toolUse;
  const read = cached ?? 0;
  const isOutside =
    quirks.cachedIsOutside === 'always' || (quirks.cachedIsOutside === 'when_larger' && read > all);
  const uncached = isOutside ? all : Math.max(0, all - read);
  const cacheRead = isOutside ? read : all - uncached;
  const audio = sumOf(details.prompt.audio, details.toolUse.audio);
  // Where nobody says which part of the cached tokens was audio, it is what doesn't fit into the rest.
  const cachedAudio = Math.min(cacheRead, details.cached.audio ?? Math.max(0, (audio ?? 0) - uncached));
  const freshAudio = Math.min(uncached, Math.max(0, (audio ?? 0) - cachedAudio));
  return {
    input: uncached - freshAudio,
    cache_read: cached === undefined ? undefined : cacheRead - cachedAudio,
    input_audio: audio === undefined ? undefined : freshAudio,
    cache_read_audio: cachedAudio > 0 ? cachedAudio : undefined,
  };
}

function outputClassesOf({ candidates, thoughts }: Terms, { audio, image }: Modalities): Classes {
  const outputAudio = Math.min(audio ?? 0, candidates);
  const outputImage = Math.min(image ?? 0, candidates - outputAudio);
  return {
    output: candidates - outputAudio - outputImage,
    reasoning: thoughts,
    output_audio: audio === undefined ? undefined : outputAudio,
    output_image: image === undefined ? undefined : outputImage,
  };
}

/**
 * Google's usage in disjoint classes, which add up to its total.
 * @param usage `usageMetadata` as it came
 * @returns null where it holds no counts that can be true
 */
export function normaliseUsage(usage: JsonObject, quirks: Quirks): Usage | null {
  const counts = readCounts(usage);
  const details = readDetails(usage);
  const terms = counts === null ? null : termsOf(counts);
  if (counts === null || details === null || terms === null) return null;
  const classes = {
    ...inputClassesOf(terms, counts.cached, details, quirks),
    ...outputClassesOf(terms, details.candidates),
  };
  const reported: Record<string, number> = {};
  for (const [usageClass, count] of Object.entries(classes)) {
    if (count !== undefined) reported[usageClass] = count;
  }
  return reported;
}

/**
 * Moves what a search put before the model into a class of its own: Google doesn't charge for it as input
 * (ai.google.dev/gemini-api/docs/pricing, Grounding with Google Search), unlike for pages that a URL named.
 */
export function withSearchInput(usage: Usage, reported: JsonObject): Usage {
  const toolUse = reported[countMembers.toolUse];
  const { input } = usage;
  if (!isCount(toolUse) || toolUse === 0 || input === undefined) return usage;
  const searched = Math.min(toolUse, input);
  return { ...usage, input: input - searched, input_search: searched };
}

/** What was generated, where the prompt isn't reported and this is all that is known; null where it isn't. */
export function countedOutput(usage: JsonObject): number | null {
  const counts = readCounts(usage);
  if (counts === null || termsOf(counts) !== null) return null;
  const { candidates, thoughts } = counts;
  return candidates === undefined && thoughts === undefined ? null : (candidates ?? 0) + (thoughts ?? 0);
}
