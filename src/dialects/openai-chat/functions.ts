import { asArray, asObject, asText, type JsonObject, jsonText } from '../json.ts';

/** Deeper levels are written as `any`; a schema from a client may nest, or refer to itself, without end. */
const deepestLevel = 16;
/**
 * References multiply what a schema comes to, also by themselves: behind so many types, and so much text,
 * they are no longer followed. Without them a schema comes to no more than the request holds.
 */
const mostTypes = 20_000;
const mostReferredLength = 4_000_000;

/** Function definitions as text, and by how many tokens that text misses what OpenAI counts. */
export interface RenderedFunctions {
  readonly text: string;
  readonly correction: number;
}

/**
 * Function definitions as OpenAI shows them to its models: TypeScript in a namespace. Its published
 * renderer for gpt-oss (openai/harmony) writes them so, and recorded token counts agree; it is used
 * only for prompts whose tokens upstream didn't report.
 */
export function renderFunctions(definitions: readonly unknown[]): RenderedFunctions {
  const renderer = new Renderer();
  for (const definition of definitions) renderer.add(asObject(definition) ?? {});
  return renderer.finish();
}

class Renderer {
  readonly #lines = ['namespace functions {', ''];
  #correction = 0;
  #types = 0;
  #length = 0;
  /** Where `#/$defs/Name` is looked up: each function brings its own. */
  #root: JsonObject = {};

  add({ name, description, parameters }: JsonObject): void {
    this.#root = asObject(parameters) ?? {};
    const members = this.#members(this.#root, 0);
    const input = members.length === 0 ? '()' : `(_: {\n${members.join('\n')}\n})`;
    this.#lines.push(...comment(description, ''), `type ${asText(name) ?? ''} = ${input} => any;`, '');
  }

  finish(): RenderedFunctions {
    this.#lines.push('} // namespace functions');
    return { text: this.#lines.join('\n'), correction: this.#correction };
  }

  #members(schema: JsonObject, level: number): string[] {
    const required = new Set(asArray(schema.required));
    const indent = ' '.repeat(level);
    const lines: string[] = [];
    for (const [name, value] of Object.entries(asObject(schema.properties) ?? {})) {
      const member = asObject(value) ?? {};
      const title = asText(member.title);
      const comments = [...comment(title, indent), ...(title === null ? [] : [`${indent}//`])];
      comments.push(...comment(member.description, indent));
      // Measured: an object whose first member has no comment comes to one token less than its text.
      if (lines.length === 0 && comments.length === 0) this.#correction--;
      const optional = required.has(name) ? '' : '?';
      for (const line of comments) this.#length += line.length;
      lines.push(...comments, `${indent}${name}${optional}: ${this.#type(member, level)},`);
    }
    return lines;
  }

  #type(given: JsonObject, level: number): string {
    this.#types++;
    if (level >= deepestLevel) return 'any';
    const schema = this.#resolve(given);
    const choices = asArray(schema.enum);
    if (choices !== null) return choices.map(jsonText).join(' | ');
    const alternatives = asArray(schema.anyOf) ?? asArray(schema.oneOf);
    if (alternatives !== null) {
      return alternatives
        .map((alternative) => this.#type(asObject(alternative) ?? {}, level + 1))
        .join(' | ');
    }
    const types = asArray(schema.type) ?? [schema.type];
    return types.map((type) => this.#namedType(type, schema, level)).join(' | ');
  }

  #namedType(type: unknown, schema: JsonObject, level: number): string {
    switch (type) {
      case 'integer':
      case 'number':
        return 'number';
      case 'string':
      case 'boolean':
      case 'null':
        return type;
      case 'array':
        return `${this.#type(asObject(schema.items) ?? {}, level + 1)}[]`;
      case 'object':
        return ['{', ...this.#members(schema, level + 2), `${' '.repeat(level)}}`].join('\n');
      default:
        return 'any';
    }
  }

  /** What `{"$ref": "#/$defs/Name"}` stands for: generated schemas (Pydantic) name their inner objects so. */
  #resolve(schema: JsonObject): JsonObject {
    const [, place, name] = /^#\/(\$defs|definitions)\/(.+)$/.exec(asText(schema.$ref) ?? '') ?? [];
    if (place === undefined || name === undefined) return schema;
    if (this.#types > mostTypes || this.#length > mostReferredLength) return {};
    return asObject(asObject(this.#root[place])?.[name]) ?? schema;
  }
}

/** Only the first line of a text is marked as a comment. */
function comment(description: unknown, indent: string): string[] {
  const text = asText(description);
  return text === null ? [] : [`${indent}// ${withoutIndent(text)}`];
}

/** What all lines but the first are indented by goes, and blank lines at the end: as Python cleans docstrings. */
function withoutIndent(text: string): string {
  const [first = '', ...others] = text.split('\n');
  if (others.length === 0) return text;
  const indents = others.filter((line) => line.trim() !== '').map((line) => line.search(/\S/));
  const common = indents.reduce((least, indent) => Math.min(least, indent), Number.MAX_SAFE_INTEGER);
  const lines = [first, ...others.map((line) => line.slice(common))];
  while (lines.at(-1)?.trim() === '') lines.pop();
  return lines.join('\n');
}
