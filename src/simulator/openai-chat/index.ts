import { type Choice, composeAnswer, spokenRefusal, toldTokens } from '../answer.ts';
import type { Format, Given, Reply } from '../format.ts';
import { failureEvent } from '../openai/failure.ts';
import { invalidRequest, openaiWording } from '../openai/wording.ts';
import { anyObject, callableTools, type JsonSchema, type Task } from '../task.ts';
import { completionBody, type FinishReason } from './body.ts';
import { answerEvents } from './events.ts';
import { promptOf } from './prompt.ts';
import { type ChatRequest, demandedTool, parseChatRequest } from './request.ts';

/** `POST /v1/chat/completions`. */
export const openaiChat: Format = {
  wording: openaiWording,
  drawnFrom: ({ body }) => body,
  read({ body }) {
    const parsed = parseChatRequest(body);
    if (!parsed.ok) return parsed;
    const request = parsed.value;
    return {
      ok: true,
      value: {
        model: request.model,
        prompt: promptOf(request),
        reply: (given) => replyTo(request, given),
      },
    };
  },
  contextExceeded: (limit, promptTokens) =>
    invalidRequest(
      `This model's maximum context length is ${limit} tokens. However, your messages resulted in ` +
        `at least ${promptTokens} tokens. Please reduce the length of the messages.`,
      'messages',
      'context_length_exceeded',
    ),
};

function replyTo(request: ChatRequest, given: Given): Reply {
  const { directives } = given;
  const answer = composeAnswer(taskOf(request), given);
  const isDemanded = demandedTool(request) !== undefined;
  const finishReasonOf = ({ end }: Choice): FinishReason => {
    if (end === 'refusal') return 'stop';
    // A call that was demanded by its tool's name ends with `stop` at OpenAI; only a chosen one with `tool_calls`.
    return end === 'tool_calls' && isDemanded ? 'stop' : end;
  };
  const includeUsage = request.stream_options?.include_usage === true;
  return {
    usage: answer.usage,
    stream:
      request.stream === true
        ? {
            framing: 'sse',
            events: () => answerEvents({ answer, directives, includeUsage, finishReasonOf }),
            failure: failureEvent,
          }
        : null,
    body: () => completionBody(answer, directives, finishReasonOf),
    bodyTokens: toldTokens(answer),
    failedBody: () => openaiWording.body(openaiWording.serverError(), ''),
  };
}

function taskOf(request: ChatRequest): Task {
  const offered = (request.tools ?? []).flatMap((tool) =>
    tool.function ? [{ name: tool.function.name, parameters: tool.function.parameters ?? {} }] : [],
  );
  const demanded = demandedTool(request);
  const { tool_choice: given } = request;
  const free = typeof given === 'string' ? given : 'auto';
  const choice = demanded === undefined ? free : { names: [demanded] };
  return {
    choices: request.n ?? 1,
    maxOutputTokens: request.max_completion_tokens ?? request.max_tokens ?? Number.POSITIVE_INFINITY,
    tools: callableTools(offered, choice, request.messages.at(-1)?.role === 'tool'),
    callsInParallel: request.parallel_tool_calls !== false,
    schema: schemaOf(request),
    reasoning: { usualTokens: 0, isTold: true, isPossible: true },
    refusal: spokenRefusal,
  };
}

function schemaOf({ response_format: format }: ChatRequest): JsonSchema | null {
  if ((format?.type ?? 'text') === 'text') return null;
  return format?.json_schema?.schema ?? anyObject;
}
