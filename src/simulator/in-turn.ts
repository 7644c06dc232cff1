/** What several sequences give, one from each in turn, as providers send several answers at once. */
export function* inTurn<Item>(sequences: readonly Iterator<Item>[]): Generator<Item> {
  const open = new Set(sequences);
  while (open.size > 0) {
    for (const sequence of open) {
      const next = sequence.next();
      if (next.done) open.delete(sequence);
      else yield next.value;
    }
  }
}
