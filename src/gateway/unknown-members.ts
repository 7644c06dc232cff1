import type { Target } from '../catalog/catalog.ts';
import type { DialectRequest } from '../dialects/dialect.ts';
import { type Refusal, refusal } from '../domain/errors.ts';

/** A member that no provider is known to take, unless every upstream that may be asked is set to take such. */
export function unknownMemberRefusal(
  { unknownMember }: DialectRequest,
  targets: readonly Target[],
): Refusal | null {
  if (unknownMember === null) return null;
  if (targets.every(({ upstream }) => upstream.quirks.unknownMembers === 'pass')) return null;
  const message =
    `"${unknownMember.slice(0, 100)}" is no member that this gateway knows of this API, so it can't tell what it would cost. ` +
    'Nothing was charged: leave it out, or have the upstream set to pass unknown members on.';
  return refusal('REQUEST_INVALID', message, { param: unknownMember.slice(0, 100) });
}
