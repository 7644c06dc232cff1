import { composeAnswer, spokenRefusal, tokensOf } from '../answer.ts';
import type { Format, Given, Reply } from '../format.ts';
import { failureEvent } from '../openai/failure.ts';
import { promptOfItems } from '../openai/items.ts';
import { invalidRequest, openaiWording } from '../openai/wording.ts';
import { answerEvents, completionBody, type ShownChoice } from './layout.ts';
import { type CompletionRequest, parseCompletionRequest, promptsOf } from './request.ts';

/** OpenAI's own, and the one thing about completions that surprises everybody. */
const defaultMaxTokens = 16;

/** `POST /v1/completions`. */
export const openaiCompletions: Format = {
  wording: openaiWording,
  drawnFrom: ({ body }) => body,
  read({ body }) {
    const parsed = parseCompletionRequest(body);
    if (!parsed.ok) return parsed;
    const request = parsed.value;
    const prompt = promptOfItems(promptsOf(request));
    return {
      ok: true,
      value: { model: request.model, prompt, reply: (given) => replyTo(request, given) },
    };
  },
  contextExceeded: (limit, promptTokens) =>
    invalidRequest(
      `This model's maximum context length is ${limit} tokens, however you requested at least ` +
        `${promptTokens} tokens in your prompt. Please reduce your prompt.`,
    ),
};

function replyTo(request: CompletionRequest, given: Given): Reply {
  const prompts = promptsOf(request);
  const shown = request.n ?? 1;
  const made = request.best_of ?? shown;
  const answer = composeAnswer(
    {
      choices: prompts.length * made,
      maxOutputTokens: request.max_tokens ?? defaultMaxTokens,
      tools: [],
      callsInParallel: false,
      schema: null,
      reasoning: { usualTokens: 0, isTold: false, isPossible: false },
      refusal: spokenRefusal,
    },
    given,
  );
  const choices = answer.choices.flatMap((choice, at): ShownChoice[] => {
    const prompt = prompts[Math.floor(at / made)];
    const echoed = request.echo === true && typeof prompt === 'string' ? prompt : '';
    return at % made < shown ? [{ choice, echoed }] : [];
  });
  const includeUsage = request.stream_options?.include_usage === true;
  const layout = { answer, choices, directives: given.directives, includeUsage };
  return {
    usage: answer.usage,
    stream:
      request.stream === true
        ? { framing: 'sse', events: () => answerEvents(layout), failure: failureEvent }
        : null,
    body: () => completionBody(layout),
    bodyTokens: choices.reduce((sum, { choice }) => sum + tokensOf(choice.message), 0),
    failedBody: () => openaiWording.body(openaiWording.serverError(), ''),
  };
}
