/** How near a count came to what it should be: 100 where it is equal, 0 where it is off by as much or more. */
export function accuracyPercent(ours: number, theirs: number): number {
  return Math.max(0, 100 * (1 - Math.abs(ours - theirs) / theirs));
}
