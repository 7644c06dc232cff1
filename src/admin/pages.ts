import { z } from 'zod';
import { type Json, type Ok, ok } from './admin-call.ts';
import { idPattern, matching, must, uuidPattern } from './validation.ts';

const maxPageSize = 200;
const defaultPageSize = 50;
const pageSizeShape = must(`a whole number from 1 to ${maxPageSize}`);

/** How many a page holds, as a query says it. */
export const pageSize = z
  .string(pageSizeShape)
  .regex(/^\d{1,3}$/, pageSizeShape)
  .transform(Number)
  .refine((it) => it >= 1 && it <= maxPageSize, pageSizeShape)
  .default(defaultPageSize);

const cursorShape = 'the `next_cursor` of the page before';

/** Cursors are the id of the page's last item. */
export const idCursor = matching(idPattern, cursorShape);
export const uuidCursor = matching(uuidPattern, cursorShape);
export const numberCursor = matching(/^\d{1,18}$/, cursorShape);

/**
 * A page of what was found when asking for one more than it holds: that one tells whether a next page
 * exists.
 */
export function page<Item>(
  found: readonly Item[],
  size: number,
  write: { readonly json: (item: Item) => Json; readonly cursor: (item: Item) => string },
): Ok {
  const items = found.slice(0, size);
  const last = items.at(-1);
  return ok({
    data: items.map(write.json),
    next_cursor: last !== undefined && found.length > size ? write.cursor(last) : null,
  });
}

/** All that there is, in the shape of a page. */
export function wholePage(data: readonly Json[]): Ok {
  return ok({ data, next_cursor: null });
}
