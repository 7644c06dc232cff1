import type { z } from 'zod';

/**
 * What zod found, where it found it. Of a union's alternatives, the one that was understood furthest is
 * what was meant: its finding says more than that none of them fits.
 */
export function innermostIssue(error: z.ZodError): z.core.$ZodIssue | undefined {
  let [issue] = error.issues as z.core.$ZodIssue[];
  while (issue?.code === 'invalid_union') {
    const found = issue.errors.flatMap(([first]) => (first === undefined ? [] : [first]));
    const understood = found.filter(({ path, code }) => path.length > 0 || !typeMismatches.has(code));
    const [inner] = understood.sort((a, b) => b.path.length - a.path.length);
    if (inner === undefined) return issue;
    issue = { ...inner, path: [...issue.path, ...inner.path] };
  }
  return issue;
}

/** What an alternative says that wasn't meant at all. */
const typeMismatches: ReadonlySet<string> = new Set(['invalid_type', 'invalid_union']);
