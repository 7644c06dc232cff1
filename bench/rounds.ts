/** In another order each round, so that none always has the same one before it. */
export function rotated<T>(all: readonly T[], round: number): readonly T[] {
  const from = round % all.length;
  return [...all.slice(from), ...all.slice(0, from)];
}

/**
 * So long a gateway is loaded before it is measured: until the engine has compiled what it will. Before that, a good part
 * of what a request takes is that. A run that only tries whether all of it works isn't made longer by it.
 */
export const warmUpSecondsOf = (measuredSeconds: number) => Math.min(25, 10 * measuredSeconds);
