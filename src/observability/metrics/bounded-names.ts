/** What stands for all names beyond the first ones. */
export const otherName = 'other';

/**
 * Names that become label values, each of which is a time series of its own: the first so many are told apart. Those
 * are the names that are used, and not the longest list that somebody can make.
 */
export class BoundedNames {
  readonly #most: number;
  readonly #known = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  of(name: string): string {
    if (this.#known.has(name)) return name;
    if (this.#known.size >= this.#most) return otherName;
    this.#known.add(name);
    return name;
  }
}
