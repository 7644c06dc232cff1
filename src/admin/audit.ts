import { type AdminCall, type AdminDependencies, adminCall } from './admin-call.ts';
import { numberCursor, page, pageSize } from './pages.ts';
import { members, text } from './validation.ts';
import { auditJson } from './wire.ts';

const query = members({
  action: text(100).optional(),
  subject: text(256).optional(),
  limit: pageSize,
  cursor: numberCursor.optional(),
});

export function auditCalls({ catalog }: AdminDependencies): readonly AdminCall[] {
  return [
    adminCall({
      method: 'GET',
      path: '/audit',
      query,
      handle: async ({ query: { action, subject, cursor, limit } }) => {
        const found = await catalog.listAudit({
          ...(action === undefined ? {} : { action }),
          ...(subject === undefined ? {} : { subject }),
          ...(cursor === undefined ? {} : { before: cursor }),
          limit: limit + 1,
        });
        return page(found, limit, { json: auditJson, cursor: (record) => record.id });
      },
    }),
  ];
}
