import type { Answer } from '../answer.ts';
import type { UsageFault } from '../directives.ts';
import { openaiWording } from '../openai/wording.ts';
import { toldUsage, type Usage, usageMember } from '../usage.ts';
import { type ItemStatus, itemJson, type OutputItem } from './items.ts';
import type { ResponsesRequest } from './request.ts';

export interface ResponseLayout {
  readonly request: ResponsesRequest;
  readonly answer: Answer;
  readonly items: readonly OutputItem[];
  readonly usageFault: UsageFault | null;
}

export type ResponseStatus = 'in_progress' | 'completed' | 'incomplete' | 'failed';

/** How the whole of it ends: completed, or cut by the maximum. */
export function finalStatus({ answer }: ResponseLayout): 'completed' | 'incomplete' {
  return answer.choices[0]?.end === 'length' ? 'incomplete' : 'completed';
}

/** The last item is the one that a maximum cuts. */
export function itemStatus(layout: ResponseLayout, index: number): ItemStatus {
  return index === layout.items.length - 1 ? finalStatus(layout) : 'completed';
}

/** OpenAI's `response` object: with what was asked for in it, with the output and the usage once it has ended. */
export function responseJson(layout: ResponseLayout, status: ResponseStatus) {
  const { request, answer, items, usageFault } = layout;
  const hasEnded = status === 'completed' || status === 'incomplete';
  const told = hasEnded ? toldUsage(answer.usage, usageFault) : null;
  const { code, message } = { ...openaiWording.serverError(), code: 'server_error' };
  return {
    id: `resp_${answer.key}`,
    object: 'response',
    created_at: answer.created,
    status,
    background: false,
    error: status === 'failed' ? { code, message } : null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: null,
    model: answer.model,
    output: hasEnded ? items.map((item, index) => itemJson(item, itemStatus(layout, index))) : [],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    reasoning: { effort: request.reasoning?.effort ?? null, summary: request.reasoning?.summary ?? null },
    service_tier: hasEnded ? 'default' : 'auto',
    store: request.store ?? true,
    temperature: request.temperature ?? 1,
    text: { format: request.text?.format ?? { type: 'text' } },
    tool_choice: request.tool_choice ?? 'auto',
    tools: request.tools ?? [],
    top_p: request.top_p ?? 1,
    truncation: 'disabled',
    ...usageMember('usage', told, usageObject),
    user: null,
    metadata: request.metadata ?? {},
  };
}

function usageObject(usage: Usage) {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}
