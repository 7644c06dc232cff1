const noSuchMaster = /No such master with that name|got an invalid reply: null/;

/** What went wrong, in words; some errors only name others that say it. */
export function reasonOf(error: unknown): string {
  const { lastNodeError } = error as { lastNodeError?: unknown };
  if (lastNodeError instanceof Error) return reasonOf(lastNodeError);
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const message = error instanceof Error ? error.message : String(error);
  if (message === 'Connection is closed.') return 'it takes no connection';
  if (!noSuchMaster.test(message)) return message;
  return 'the sentinels know no master of this name (REDIS_SENTINEL_NAME)';
}

/** Of what several sentinels failed with: one that was reached and knows no such master says the most. */
export function worstOfSentinels(errors: readonly Error[]): Error | undefined {
  return errors.find(({ message }) => noSuchMaster.test(message)) ?? errors[0];
}

/** Errors carry the command that failed, and the first one of a connection carries the password. */
export function withoutCommand(error: unknown): Error {
  const { name, code } = error as NodeJS.ErrnoException;
  return Object.assign(new Error(reasonOf(error)), { name, ...(code === undefined ? {} : { code }) });
}
