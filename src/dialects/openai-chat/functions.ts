import { asArray, asObject, asText, type JsonObject } from '../json.ts';

/** Deeper levels are written as `any`; a schema from a client may nest without end. */
const deepestLevel = 16;

/**
 * Function definitions as OpenAI shows them to its models: TypeScript in a namespace. It was worked
 * out from token counts by several people and is close, not exact; it is used only for prompts whose
 * tokens upstream didn't report.
 */
export function renderFunctions(definitions: readonly unknown[]): string {
  const lines = ['namespace functions {', ''];
  for (const definition of definitions) {
    const { name, description, parameters } = asObject(definition) ?? {};
    lines.push(...comment(description, ''));
    const members = renderMembers(asObject(parameters) ?? {}, 0);
    const input = members.length === 0 ? '()' : `(_: {\n${members.join('\n')}\n})`;
    lines.push(`type ${asText(name) ?? ''} = ${input} => any;`, '');
  }
  lines.push('} // namespace functions');
  return lines.join('\n');
}

function comment(description: unknown, indent: string): string[] {
  const text = asText(description);
  return text === null ? [] : [`${indent}// ${text}`];
}

function renderMembers(schema: JsonObject, level: number): string[] {
  const required = new Set(asArray(schema.required));
  const indent = ' '.repeat(level);
  return Object.entries(asObject(schema.properties) ?? {}).flatMap(([name, value]) => {
    const member = asObject(value) ?? {};
    const optional = required.has(name) ? '' : '?';
    return [
      ...comment(member.description, indent),
      `${indent}${name}${optional}: ${renderType(member, level)},`,
    ];
  });
}

function renderType(schema: JsonObject, level: number): string {
  if (level >= deepestLevel) return 'any';
  const choices = asArray(schema.enum);
  if (choices !== null) return choices.map((choice) => JSON.stringify(choice)).join(' | ');
  const alternatives = asArray(schema.anyOf) ?? asArray(schema.oneOf);
  if (alternatives !== null) {
    return alternatives.map((alternative) => renderType(asObject(alternative) ?? {}, level + 1)).join(' | ');
  }
  const types = asArray(schema.type) ?? [schema.type];
  return types.map((type) => renderNamedType(type, schema, level)).join(' | ');
}

function renderNamedType(type: unknown, schema: JsonObject, level: number): string {
  switch (type) {
    case 'integer':
    case 'number':
      return 'number';
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'array':
      return `${renderType(asObject(schema.items) ?? {}, level + 1)}[]`;
    case 'object':
      return ['{', ...renderMembers(schema, level + 2), `${' '.repeat(level)}}`].join('\n');
    default:
      return 'any';
  }
}
