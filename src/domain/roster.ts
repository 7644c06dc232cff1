/**
 * Those that are here now, in no order, for what comes and goes with every request. A `Set` makes itself another table
 * every few dozen changes, and once the collector has moved one to the old generation, the next ones are made
 * there too. What an outgrown one still names is kept until the next full collection, with all that it leads to: whole
 * requests that are long over, each of them copied twice. Here places are taken again, and who has left is named nowhere.
 */
export class Roster<Item extends object> {
  readonly #items: (Item | null)[] = [];
  readonly #freePlaces: number[] = [];

  get size(): number {
    return this.#items.length - this.#freePlaces.length;
  }

  /** @returns its place, to leave by */
  enter(item: Item): number {
    const place = this.#freePlaces.pop() ?? this.#items.length;
    this.#items[place] = item;
    return place;
  }

  /** Again it does nothing, whoever has the place by then. */
  leave(item: Item, place: number): void {
    if (this.#items[place] !== item) return;
    this.#items[place] = null;
    this.#freePlaces.push(place);
  }

  /** Those of this moment. */
  all(): Item[] {
    return this.#items.filter((item) => item !== null);
  }
}
