import type { Quirks } from '../../domain/quirks.ts';
import { isCount } from '../count.ts';
import type { EventFate, SseEvent, StreamContext, StreamMeter, StreamReading } from '../dialect.ts';
import { asObject, asText, type JsonObject, parseJson } from '../json.ts';
import { errorMessage } from '../openai/errors.ts';
import { GeneratedText } from './generated.ts';
import { factsOf, noResponse, outputOf, readingOf } from './response.ts';
import { ToolCalls } from './tool-calls.ts';

/** Some providers send it behind the closing event, as the end of a chat completion. */
const done = '[DONE]';

/** The client takes the answer as complete at each of these: they carry the whole of it, with its usage. */
const closingTypes: ReadonlySet<string> = new Set([
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.cancelled',
]);

/** Of these, the ones after which nothing good came; one of them may give no reason. */
const failureTypes: ReadonlySet<string> = new Set(['response.failed', 'response.cancelled']);

/** Events behind which nothing needs to have been generated. OpenAI sends the last one, undocumented, while it works. */
const emptyTypes: ReadonlySet<string> = new Set([
  'response.queued',
  'response.created',
  'response.in_progress',
  'keepalive',
]);

const eventsOfResponses = 'response.';

const delta = '.delta';
const end = '.done';

/** A text that has ended is in a member named for what it is, by the type of its event. */
const textMembers = [
  'text',
  'refusal',
  'arguments',
  'input',
  'code',
  'command',
  'transcript',
  'diff',
] as const;

/** Keeps the texts of one item apart: their kind, and which of that kind. */
function slotOf(kind: string, event: JsonObject): string {
  const index = event.content_index ?? event.summary_index ?? event.command_index;
  return `${kind}/${isCount(index) ? index : 0}`;
}

/** Audio is no text: its tokens can't be counted from its bytes. */
function isText(kind: string): boolean {
  return !kind.endsWith('audio');
}

/** The error that an event is, or has instead of a type of this API; null for any other event. */
function errorOf(type: string, event: JsonObject): string | null {
  if (type.startsWith(eventsOfResponses)) return null;
  return errorMessage(event.error) ?? (type === 'error' ? errorMessage(event) : null);
}

export class ResponseStreamMeter implements StreamMeter {
  readonly #quirks: Quirks;
  readonly #generated = new GeneratedText();
  readonly #toolCalls = new ToolCalls();
  /** Of the last event that carried a response: at the end the whole one, with its usage. */
  #facts = noResponse;
  #finishReason: string | null = null;
  #error: string | null = null;
  #begun = false;
  #usageIsFinal = false;
  #lastSequenceNumber = -1;

  constructor({ quirks }: Pick<StreamContext, 'quirks'>) {
    this.#quirks = quirks;
  }

  /** Of an event that we would put behind those that came. */
  get nextSequenceNumber(): number {
    return this.#lastSequenceNumber + 1;
  }

  take(event: SseEvent): EventFate {
    if (event.data === null) return 'relay';
    const data = asObject(parseJson(event.data));
    if (data === null) return this.#takeUnparsed(event.type, event.data);
    const type = asText(data.type) ?? event.type ?? '';
    if (isCount(data.sequence_number)) this.#lastSequenceNumber = data.sequence_number;
    const error = errorOf(type, data);
    if (error !== null) {
      this.#error = error;
      return 'relay';
    }
    const response = asObject(data.response);
    if (response !== null) this.#facts = factsOf(response);
    if (closingTypes.has(type)) return this.#takeClosing(type, response ?? {});
    if (!emptyTypes.has(type)) this.#takePart(type, data);
    return 'relay';
  }

  reading(): StreamReading {
    const seen = {
      facts: this.#facts,
      generated: this.#generated,
      toolCalls: this.#toolCalls,
      error: this.#error,
      finishReason: this.#finishReason,
    };
    return {
      ...readingOf(seen, this.#quirks),
      begun: this.#begun,
      usageIsFinal: this.#usageIsFinal,
    };
  }

  #takeClosing(type: string, response: JsonObject): EventFate {
    const output = outputOf(response);
    if (output.length > 0) this.#begun = true;
    this.#generated.setOutput(output);
    this.#toolCalls.addAll(output);
    this.#finishReason = this.#facts.finishReason;
    this.#error = this.#facts.error ?? this.#error ?? (failureTypes.has(type) ? type : null);
    this.#usageIsFinal = this.#facts.usage !== null;
    return 'close';
  }

  #takePart(type: string, event: JsonObject): void {
    this.#begun = true;
    const item = asObject(event.item);
    const place = event.output_index ?? event.item_id ?? item?.id ?? 0;
    if (item !== null) this.#takeItem(type, place, item);
    else if (type.endsWith(delta)) this.#takeDelta(type.slice(0, -delta.length), place, event);
    else if (type.endsWith(end)) this.#takeText(type.slice(0, -end.length), place, event);
  }

  #takeItem(type: string, place: unknown, item: JsonObject): void {
    if (!type.endsWith(end)) this.#generated.beginItem(place, item);
    else {
      this.#generated.setItem(place, item);
      this.#toolCalls.add(place, item);
    }
  }

  /** `obfuscation` beside a delta is padding against eavesdroppers, and no text. */
  #takeDelta(kind: string, place: unknown, event: JsonObject): void {
    if (typeof event.delta === 'string' && isText(kind)) {
      this.#generated.addDelta(place, slotOf(kind, event), event.delta);
    }
  }

  #takeText(kind: string, place: unknown, event: JsonObject): void {
    const member = textMembers.find((name) => asText(event[name]) !== null);
    const text = member === undefined ? null : asText(event[member]);
    if (text !== null) this.#generated.setText(place, slotOf(kind, event), text);
  }

  /** `[DONE]`, an error in plain text, or junk: the client gets it as it came. */
  #takeUnparsed(type: string | null, data: string): EventFate {
    if (type === 'error') this.#error = errorMessage(data) ?? 'unnamed error';
    if (data.trim() === done) return 'close';
    if (type !== 'error') this.#begun = true;
    return 'relay';
  }
}
