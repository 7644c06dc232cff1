import type { Quirks } from '../../domain/quirks.ts';
import { inputTokens, type Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import { isCount } from '../count.ts';
import { type AnswerContext, type AnswerReading, nothingSaid } from '../dialect.ts';
import { asArray, asObject, type JsonObject, parseJson } from '../json.ts';
import { answerNameOf, serviceTierOf } from '../openai/choices.ts';
import { errorMessage } from '../openai/errors.ts';
import { statedCost } from '../openai/stated-cost.ts';
import { normaliseUsage } from '../openai-chat/usage.ts';

const nothingGenerated: Countable = { texts: [], overhead: 0 };

/**
 * All of the total is input: nothing is generated, and Voyage reports nothing but a total. An honest zero
 * of what was embedded doesn't exist: it is counted by us (Voyage once reported none for two texts).
 */
function usageFor(reported: JsonObject | null, hasEmbeddings: boolean, quirks: Quirks): Usage | null {
  if (reported === null) return null;
  const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = reported;
  const counts = [prompt, total].filter((count) => count !== undefined && count !== null);
  if (counts.length === 0 || !counts.every(isCount) || !isCount(completion ?? 0)) return null;
  const all = Math.max(...counts);
  const sides = { prompt_tokens: all, completion_tokens: 0, total_tokens: all };
  const classes = normaliseUsage({ ...reported, ...sides }, quirks);
  if (classes === null || (hasEmbeddings && inputTokens(classes) === 0)) return null;
  const { output: _, reasoning: __, output_audio: ___, ...inputs } = classes;
  return inputs;
}

/** Meters an answer. One with neither embeddings nor usage gave nothing that could be charged. */
export function readAnswer(body: Buffer, { quirks }: Pick<AnswerContext, 'quirks'>): AnswerReading {
  const answer = asObject(parseJson(body.toString('utf8')));
  if (answer === null) {
    return { ...nothingSaid, generated: nothingGenerated, error: 'The answer is not a JSON object' };
  }
  const reported = asObject(answer.usage);
  const hasEmbeddings = (asArray(answer.data)?.length ?? 0) > 0;
  const usage = usageFor(reported, hasEmbeddings, quirks);
  const isNothing = !hasEmbeddings && usage === null;
  return {
    ...nothingSaid,
    usage,
    generated: nothingGenerated,
    error: errorMessage(answer.error) ?? (isNothing ? 'The answer has no embeddings' : null),
    serviceTier: serviceTierOf(answer, reported),
    statedCost: statedCost(reported),
    reported,
    ...answerNameOf(answer),
  };
}
