import { composeAnswer, spokenRefusal, toldTokens } from '../answer.ts';
import type { Format, Given, Reply } from '../format.ts';
import { callableTools, defaultReasoningTokens, type Task, type TaskReasoning } from '../task.ts';
import { answerEvents, failureEvents } from './events.ts';
import { messageBody } from './message.ts';
import { promptOf } from './prompt.ts';
import { type MessagesRequest, parseMessagesPrompt, parseMessagesRequest, toolChoiceOf } from './request.ts';
import { anthropicWording } from './wording.ts';

const shared = {
  wording: anthropicWording,
  drawnFrom: ({ body }) => body,
  contextExceeded: (limit, promptTokens) =>
    anthropicWording.invalid(`prompt is too long: ${promptTokens} tokens > ${limit} maximum`),
} as const satisfies Omit<Format, 'read'>;

/** `POST /v1/messages`. */
export const anthropicMessages: Format = {
  ...shared,
  read(call) {
    const parsed = parseMessagesRequest(call);
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
};

/** `POST /v1/messages/count_tokens`: free, and exactly what a message with this prompt reports. */
export const anthropicCountTokens: Format = {
  ...shared,
  read(call) {
    const parsed = parseMessagesPrompt(call);
    if (!parsed.ok) return parsed;
    const { model } = parsed.value;
    return { ok: true, value: { model, prompt: promptOf(parsed.value), reply: replyWithCount } };
  },
};

function replyTo(request: MessagesRequest, given: Given): Reply {
  const { directives } = given;
  const answer = composeAnswer(taskOf(request), given);
  return {
    usage: answer.usage,
    stream:
      request.stream === true
        ? { framing: 'sse', events: () => answerEvents(answer, directives), failure: failureEvents }
        : null,
    body: () => messageBody(answer, directives.fault.usage),
    bodyTokens: toldTokens(answer),
    failedBody,
  };
}

function replyWithCount({ promptTokens }: Given): Reply {
  return {
    usage: null,
    stream: null,
    body: () => JSON.stringify({ input_tokens: promptTokens }),
    bodyTokens: 0,
    failedBody,
  };
}

function failedBody(): string {
  return anthropicWording.body(anthropicWording.serverError(), 'req_simulator');
}

function taskOf(request: MessagesRequest): Task {
  const offered = (request.tools ?? []).flatMap(({ name, input_schema: parameters }) =>
    parameters === undefined ? [] : [{ name, parameters }],
  );
  const last = request.messages.at(-1)?.content;
  const resultIsLast = Array.isArray(last) && last.some(({ type }) => type === 'tool_result');
  return {
    choices: 1,
    maxOutputTokens: request.max_tokens,
    tools: callableTools(offered, toolChoiceOf(request), resultIsLast),
    callsInParallel: request.tool_choice?.disable_parallel_tool_use !== true,
    schema: (request.output_config?.format ?? request.output_format)?.schema ?? null,
    reasoning: reasoningOf(request),
    refusal: spokenRefusal,
  };
}

function reasoningOf({ thinking }: MessagesRequest): TaskReasoning {
  const isOn = thinking?.type === 'enabled' || thinking?.type === 'adaptive';
  return { usualTokens: isOn ? defaultReasoningTokens : 0, isTold: true, isPossible: true };
}
