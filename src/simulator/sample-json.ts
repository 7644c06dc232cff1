import { sentences, textOf } from './pieces.ts';
import { below, type Random } from './random.ts';
import type { JsonSchema } from './task.ts';

/** A schema may refer to itself; below this depth values end. */
const deepest = 6;

/**
 * A value that a JSON schema accepts, as far as its types, enums, required and optional properties,
 * first alternatives and local references say. Patterns and lengths are not looked at.
 * @param wordsPerString tokens in each string that is made up
 */
export function sampleJson(schema: JsonSchema, random: Random, wordsPerString: number): unknown {
  const sample = (node: unknown, depth: number): unknown => {
    const resolved = resolve(node, schema);
    if ('const' in resolved) return resolved.const;
    if (Array.isArray(resolved.enum)) return resolved.enum[below(random, resolved.enum.length)];
    const [alternative] = listOf(resolved.anyOf) ?? listOf(resolved.oneOf) ?? [];
    if (alternative !== undefined && depth < deepest) return sample(alternative, depth + 1);
    switch (typeOf(resolved)) {
      case 'object':
        return depth < deepest ? sampleProperties(resolved, (child) => sample(child, depth + 1)) : {};
      case 'array':
        return depth < deepest && resolved.items !== undefined ? [sample(resolved.items, depth + 1)] : [];
      case 'integer':
        return below(random, 1000);
      case 'number':
        return below(random, 10_000) / 100;
      case 'boolean':
        return below(random, 2) === 1;
      case 'null':
        return null;
      default:
        return textOf(sentences(random(), wordsPerString));
    }
  };
  return sample(schema, 0);
}

function sampleProperties(node: JsonSchema, sample: (child: unknown) => unknown): Record<string, unknown> {
  const properties = asSchema(node.properties);
  // fromEntries defines each name as the object's own, whereas assigning would let __proto__ through.
  return Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, sample(child)]));
}

function typeOf(node: JsonSchema): unknown {
  const type = Array.isArray(node.type) ? node.type[0] : node.type;
  // Gemini writes them in capitals.
  if (typeof type === 'string') return type.toLowerCase();
  return node.properties === undefined ? 'string' : 'object';
}

/** The schema that `#`, `#/$defs/name` and the like stand for. */
function resolve(node: unknown, root: JsonSchema): JsonSchema {
  const schema = asSchema(node);
  if (typeof schema.$ref !== 'string' || !schema.$ref.startsWith('#')) return schema;
  let target: unknown = root;
  for (const step of schema.$ref.split('/').slice(1)) target = asSchema(target)[step];
  const resolved = asSchema(target);
  return typeof resolved.$ref === 'string' ? {} : resolved;
}

function asSchema(node: unknown): JsonSchema {
  return typeof node === 'object' && node !== null && !Array.isArray(node) ? { ...node } : {};
}

function listOf(node: unknown): unknown[] | undefined {
  return Array.isArray(node) && node.length > 0 ? node : undefined;
}
