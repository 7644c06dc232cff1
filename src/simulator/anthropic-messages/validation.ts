import type { z } from 'zod';
import { innermostIssue } from '../innermost-issue.ts';
import { valueAt } from '../json-body.ts';

const typeNames: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  int: 'integer',
  boolean: 'boolean',
  array: 'list',
  object: 'dictionary',
  record: 'dictionary',
};

/** zod's first finding in Anthropic's words, with the path as Anthropic writes it: `messages.0.role`. */
export function describe(error: z.ZodError, body: unknown): string {
  const issue = innermostIssue(error);
  if (issue === undefined) return 'Invalid request';
  const path = issue.path.join('.');
  const value = valueAt(body, issue.path);
  if (value === undefined) return `${path}: Field required`;
  return `${path}: ${findingOf(issue, value)}`;
}

function findingOf(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_value':
      return `Input should be ${listed(issue.values.map((permitted) => `'${String(permitted)}'`))}`;
    case 'too_small':
      return Array.isArray(value)
        ? `List should have at least ${issue.minimum} item after validation, not ${value.length}`
        : `Input should be greater than or equal to ${issue.minimum}`;
    case 'too_big':
      return `Input should be less than or equal to ${issue.maximum}`;
    case 'invalid_type':
      return `Input should be a valid ${typeNames[issue.expected] ?? issue.expected}`;
    default:
      return 'Input should be a valid string or list';
  }
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
