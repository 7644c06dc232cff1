import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject, jsonText } from '../json.ts';
import { addText, joined, type Pieces } from '../text-pieces.ts';

interface CallText {
  readonly name: Pieces;
  readonly args: Pieces;
  /** The argument that is being written: its name comes again with each piece of its value. */
  jsonPath: string | null;
}

interface CandidateText {
  readonly text: Pieces;
  readonly thoughts: Pieces;
  readonly code: Pieces;
  readonly calls: CallText[];
}

/** Values of streamed arguments, one of which is set. */
const argumentValues = ['stringValue', 'numberValue', 'boolValue', 'nullValue'] as const;

/**
 * The text that a model generated, from the chunks of a stream or from a whole answer. It is counted only
 * where upstream reports no usage. Results of tools are input, and pictures aren't text.
 */
export class GeneratedText {
  readonly #candidates = new Map<unknown, CandidateText>();
  #isEmpty = true;

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /**
   * @param index the candidate's; any value keeps it apart from the others
   * @returns whether the part had any text
   */
  add(index: unknown, part: JsonObject): boolean {
    const candidate = this.#candidate(index);
    const found = [
      addText(part.thought === true ? candidate.thoughts : candidate.text, part.text),
      addText(candidate.code, asObject(part.executableCode)?.code),
      addCall(candidate.calls, asObject(part.functionCall)),
      addServerCall(candidate.calls, asObject(part.toolCall)),
    ].includes(true);
    if (found) this.#isEmpty = false;
    return found;
  }

  countable(): Countable {
    const texts: string[] = [];
    for (const { text, thoughts, code, calls } of this.#candidates.values()) {
      texts.push(joined(thoughts), joined(text), joined(code));
      for (const call of calls) texts.push(joined(call.name), joined(call.args));
    }
    return { texts: texts.filter((text) => text !== ''), overhead: 0 };
  }

  #candidate(index: unknown): CandidateText {
    let candidate = this.#candidates.get(index);
    if (candidate === undefined) {
      candidate = { text: [], thoughts: [], code: [], calls: [] };
      this.#candidates.set(index, candidate);
    }
    return candidate;
  }
}

function newCall(calls: CallText[]): CallText {
  const call: CallText = { name: [], args: [], jsonPath: null };
  calls.push(call);
  return call;
}

/** A call comes whole, or, with `streamFunctionCallArguments`, its name first and then one argument after another. */
function addCall(calls: CallText[], functionCall: JsonObject | null): boolean {
  if (functionCall === null) return false;
  const name = asText(functionCall.name);
  const call = name === null ? (calls.at(-1) ?? newCall(calls)) : newCall(calls);
  const found = [addText(call.name, name), addArguments(call, functionCall.args)];
  for (const entry of asArray(functionCall.partialArgs) ?? []) {
    const argument = asObject(entry);
    if (argument !== null) found.push(addPartialArgument(call, argument));
  }
  return found.includes(true);
}

function addServerCall(calls: CallText[], toolCall: JsonObject | null): boolean {
  return toolCall !== null && addArguments(newCall(calls), toolCall.args);
}

function addArguments({ args }: CallText, value: unknown): boolean {
  return value !== undefined && value !== null && addText(args, jsonText(value));
}

/** `$.recipe.steps[9]` names what the value is that comes piece by piece: the model wrote its last name only. */
function addPartialArgument(call: CallText, argument: JsonObject): boolean {
  const path = asText(argument.jsonPath);
  const isNew = path !== null && path !== call.jsonPath;
  if (isNew) {
    call.jsonPath = path;
    addText(call.args, `,"${path.slice(path.lastIndexOf('.') + 1)}":`);
  }
  const value = argumentValues.map((name) => argument[name]).find((each) => each !== undefined);
  if (value === undefined) return isNew;
  return addText(call.args, typeof value === 'string' ? value : jsonText(value)) || isNew;
}
