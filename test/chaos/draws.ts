import { below, mulberry32 } from '../../src/simulator/random.ts';

/** What chance decides, drawn from a seed. */
export interface Draws {
  /** From 0 up to, and without, 1. */
  fraction(): number;
  /** A whole number of the range, both ends among them. */
  between(least: number, most: number): number;
  happens(chance: number): boolean;
  of<Item>(items: readonly Item[]): Item;
  shuffled<Item>(items: readonly Item[]): readonly Item[];
}

/** @param salt tells apart those who draw from one seed, so that one more draw of one changes no other's */
export function drawsFrom(seed: number, salt: number): Draws {
  const random = mulberry32(seed ^ Math.imul(salt + 1, 0x9e3779b1));
  const fraction = () => random() / 2 ** 32;
  const draws: Draws = {
    fraction,
    between: (least, most) => least + below(random, most - least + 1),
    happens: (chance) => fraction() < chance,
    of: (items) => {
      const item = items[below(random, items.length)];
      if (item === undefined) throw new Error('there is nothing to draw from');
      return item;
    },
    shuffled: (items) =>
      items
        .map((item) => ({ item, rank: fraction() }))
        .sort((one, other) => one.rank - other.rank)
        .map(({ item }) => item),
  };
  return draws;
}
