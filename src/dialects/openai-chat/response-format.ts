import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asObject, asText } from '../json.ts';

/** A system message of its own for the schema; less where it joins one that is there. */
const tokensForFormat = 8;
const tokensForJoinedFormat = 4;

/** What constrains the answer without being shown to the model. */
const unseenMembers: ReadonlySet<string> = new Set([
  'additionalProperties',
  'required',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
]);

/**
 * The schema that an answer has to follow, as OpenAI shows it to its models: openai/harmony documents the
 * heading, and recorded token counts which members of the schema are left out. Null where there is none.
 */
export function renderResponseFormat(responseFormat: unknown, joinsMessage: boolean): Countable | null {
  const format = asObject(asObject(responseFormat)?.json_schema);
  if (format === null) return null;
  const description = asText(format.description);
  const text =
    `# Response Formats\n\n## ${asText(format.name) ?? ''}\n\n` +
    `${description === null ? '' : `// ${description}\n`}${seenSchema(format.schema)}`;
  return { texts: [text], overhead: joinsMessage ? tokensForJoinedFormat : tokensForFormat };
}

/** Empty where it nests deeper than the stack. */
function seenSchema(schema: unknown): string {
  try {
    // A property may have the name of such a member, and then has an object for its schema.
    return (
      JSON.stringify(schema, (name, value) => {
        const isProperty = typeof value === 'object' && value !== null && !Array.isArray(value);
        return unseenMembers.has(name) && !isProperty ? undefined : value;
      }) ?? ''
    );
  } catch {
    return '';
  }
}
