import type { AnswerEvent } from '../format.ts';
import { openaiWording } from '../openai/wording.ts';
import { grouped, textOf } from '../pieces.ts';
import { contentPart, itemJson, type OutputItem, summaryPart } from './items.ts';
import {
  finalStatus,
  itemStatus,
  type ResponseLayout,
  type ResponseStatus,
  responseJson,
} from './response.ts';

/** An event before it has its number. */
interface Change {
  readonly type: string;
  /** Its members behind the number, as JSON without the braces. */
  readonly members: string;
  readonly tokens: number;
  readonly closes?: true;
}

/**
 * An answer as OpenAI streams it: the response as it is begun, each item from `added` to `done` with
 * deltas in between, and the response as it ended. Made while it is walked.
 */
export function* answerEvents(layout: ResponseLayout, tokensPerEvent: number): Generator<AnswerEvent> {
  let sequence = 0;
  for (const change of changesOf(layout, tokensPerEvent)) {
    yield numbered(change, sequence);
    sequence += 1;
  }
}

/** OpenAI names the error, below `error` and not beside the number as it documents, and then says that the response failed. */
export function* failureEvents(layout: ResponseLayout, sent: number): Generator<AnswerEvent> {
  const { type, message, param } = openaiWording.serverError();
  yield numbered(change('error', { error: { type, code: 'server_error', message, param } }), sent);
  yield numbered(responseChange(layout, 'failed', 'failed'), sent + 1);
}

function numbered({ type, members, tokens, closes }: Change, sequence: number): AnswerEvent {
  const data = `{"type":"${type}","sequence_number":${sequence},${members}}`;
  return closes ? { type, data, tokens, closes } : { type, data, tokens };
}

function* changesOf(layout: ResponseLayout, tokensPerEvent: number): Generator<Change> {
  yield responseChange(layout, 'created', 'in_progress');
  yield responseChange(layout, 'in_progress', 'in_progress');
  for (const [index, item] of layout.items.entries()) {
    yield change('response.output_item.added', {
      output_index: index,
      item: itemJson(item, 'in_progress', true),
    });
    yield* inner[item.kind](item, index, tokensPerEvent);
    yield change('response.output_item.done', {
      output_index: index,
      item: itemJson(item, itemStatus(layout, index)),
    });
  }
  const status = finalStatus(layout);
  yield { ...responseChange(layout, status, status), closes: true };
}

type Inner = (item: OutputItem, index: number, tokensPerEvent: number) => Iterable<Change>;

/** What comes between an item's `added` and its `done`. */
const inner: Readonly<Record<OutputItem['kind'], Inner>> = {
  *reasoning(item, index, tokensPerEvent) {
    if (item.kind === 'reasoning' && !item.isTold) return;
    const at = { item_id: item.id, output_index: index, summary_index: 0 };
    const text = textOf(item.text);
    yield change('response.reasoning_summary_part.added', { ...at, part: summaryPart('') });
    yield* deltas('response.reasoning_summary_text.delta', at, item, tokensPerEvent);
    yield change('response.reasoning_summary_text.done', { ...at, text });
    yield change('response.reasoning_summary_part.done', { ...at, part: summaryPart(text) });
  },
  *message(item, index, tokensPerEvent) {
    const part = item.kind === 'message' ? item.part : 'output_text';
    const at = { item_id: item.id, output_index: index, content_index: 0 };
    const text = textOf(item.text);
    const done = part === 'refusal' ? { refusal: text } : { text, logprobs: [] };
    yield change('response.content_part.added', { ...at, part: contentPart(part, '') });
    yield* deltas(`response.${part}.delta`, at, item, tokensPerEvent);
    yield change(`response.${part}.done`, { ...at, ...done });
    yield change('response.content_part.done', { ...at, part: contentPart(part, text) });
  },
  *function_call(item, index, tokensPerEvent) {
    const at = { item_id: item.id, output_index: index };
    const name = item.kind === 'function_call' ? item.name : '';
    yield* deltas('response.function_call_arguments.delta', at, item, tokensPerEvent);
    yield change('response.function_call_arguments.done', { ...at, name, arguments: textOf(item.text) });
  },
};

function* deltas(type: string, at: object, item: OutputItem, tokensPerEvent: number): Generator<Change> {
  const where = JSON.stringify(at).slice(1, -1);
  const logprobs = type === 'response.output_text.delta' ? ',"logprobs":[]' : '';
  for (const { json, tokens } of grouped(item.text, tokensPerEvent)) {
    yield { type, members: `${where},"delta":"${json}"${logprobs}`, tokens };
  }
}

function responseChange(layout: ResponseLayout, name: string, status: ResponseStatus): Change {
  return change(`response.${name}`, { response: responseJson(layout, status) });
}

function change(type: string, members: object): Change {
  return { type, members: JSON.stringify(members).slice(1, -1), tokens: 0 };
}
