import { z } from 'zod';
import type { Parsed } from '../errors.ts';
import { innermostIssue } from '../innermost-issue.ts';
import { parseJsonObject, valueAt } from '../json-body.ts';
import type { ToolChoice } from '../task.ts';
import { geminiWording } from './wording.ts';

/** Every member that Google documents for it; any other is refused by its name. */
const knownMembers = new Set([
  'cachedContent',
  'contents',
  'generateContentRequest',
  'generationConfig',
  'labels',
  'model',
  'modelArmorConfig',
  'safetySettings',
  'serviceTier',
  'store',
  'systemInstruction',
  'toolConfig',
  'tools',
]);

/** Google takes each name in camelCase and in snake_case. */
function camelNames(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
}

const message = <Shape extends z.ZodRawShape>(shape: Shape) => z.preprocess(camelNames, z.looseObject(shape));

const schemaObject = z.record(z.string(), z.unknown());

const partSchema = message({
  text: z.string().optional(),
  thought: z.boolean().optional(),
  functionCall: message({ name: z.string().optional(), args: z.unknown().optional() }).optional(),
  functionResponse: message({ name: z.string().optional(), response: z.unknown().optional() }).optional(),
});

const contentSchema = message({
  role: z.enum(['user', 'model', 'function', 'system']).optional(),
  parts: z.array(partSchema).optional(),
});

const toolSchema = message({
  functionDeclarations: z
    .array(
      message({
        name: z.string().min(1),
        parameters: schemaObject.optional(),
        parametersJsonSchema: schemaObject.optional(),
      }),
    )
    .optional(),
});

const requestShape = {
  contents: z.array(contentSchema).min(1),
  systemInstruction: contentSchema.nullish(),
  tools: z.array(toolSchema).nullish(),
  toolConfig: message({
    functionCallingConfig: message({
      mode: z.string().optional(),
      allowedFunctionNames: z.array(z.string()).optional(),
    }).optional(),
  }).nullish(),
  generationConfig: message({
    candidateCount: z.int().min(1).max(8).optional(),
    maxOutputTokens: z.int().min(1).optional(),
    temperature: z.number().min(0).max(2).optional(),
    topP: z.number().min(0).max(1).optional(),
    responseMimeType: z.string().optional(),
    responseSchema: schemaObject.optional(),
    responseJsonSchema: schemaObject.optional(),
    thinkingConfig: message({
      includeThoughts: z.boolean().optional(),
      thinkingBudget: z.int().optional(),
      thinkingLevel: z.string().optional(),
    }).optional(),
  }).nullish(),
} as const;

const bodySchema = message(requestShape);

export type GenerateRequest = z.output<typeof bodySchema>;
export type Content = z.output<typeof contentSchema>;

export function parseGenerateRequest(body: Buffer): Parsed<GenerateRequest> {
  const given = parseObject(body);
  return given.ok ? check(given.value) : given;
}

/** Counting takes the contents alone, or a whole request as it would be sent. */
export function parseCountRequest(body: Buffer): Parsed<GenerateRequest> {
  const given = parseObject(body);
  if (!given.ok) return given;
  const { generateContentRequest: whole = given.value } = given.value;
  return check(camelNames(whole));
}

function parseObject(body: Buffer): Parsed<Record<string, unknown>> {
  const given = parseJsonObject(body);
  if (given === undefined) return refused('Invalid JSON payload received.');
  const named = { ...(camelNames(given) as Record<string, unknown>) };
  const unknown = Object.keys(named).find((name) => !knownMembers.has(name));
  if (unknown === undefined) return { ok: true, value: named };
  return refused(`Invalid JSON payload received. Unknown name "${unknown}": Cannot find field.`);
}

function check(given: unknown): Parsed<GenerateRequest> {
  const parsed = bodySchema.safeParse(given);
  return parsed.success ? { ok: true, value: parsed.data } : refused(describe(parsed.error, given));
}

/** zod's first finding in Google's words. */
function describe(error: z.ZodError, given: unknown): string {
  const issue = innermostIssue(error);
  const path = issue?.path ?? [];
  if (path[0] === 'contents' && path.length === 1) {
    return '* GenerateContentRequest.contents: contents is not specified\n';
  }
  if (path.at(-1) === 'role') return 'Please use a valid role: user, model.';
  const value = valueAt(given, path);
  return `Invalid value at '${path.join('.')}': ${JSON.stringify(value) ?? 'missing'}`;
}

function refused(text: string): Parsed<never> {
  return { ok: false, error: geminiWording.invalid(text) };
}

export function toolChoiceOf({ toolConfig }: GenerateRequest): ToolChoice {
  const { mode, allowedFunctionNames: names } = toolConfig?.functionCallingConfig ?? {};
  switch (mode?.toUpperCase()) {
    case 'NONE':
      return 'none';
    case 'ANY':
      return names === undefined || names.length === 0 ? 'required' : { names };
    default:
      return 'auto';
  }
}
