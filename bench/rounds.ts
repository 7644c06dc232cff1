/** In another order each round, so that none always has the same one before it. */
export function rotated<T>(all: readonly T[], round: number): readonly T[] {
  const from = round % all.length;
  return [...all.slice(from), ...all.slice(0, from)];
}
