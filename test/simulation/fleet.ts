import { type Gateway, type Surroundings, startGateway } from './gateway.ts';
import { Process } from './process.ts';

/** A place for a gateway, and who has it now. */
interface Place {
  readonly number: number;
  readonly name: string;
  process: Process | null;
  /** Once it serves. */
  gateway: Gateway | null;
  lives: number;
}

/** The gateways of a run: each dies and is started again, as another process in its place. */
export class Fleet {
  readonly #around: Surroundings;
  readonly #places: readonly Place[];

  constructor(around: Surroundings, size: number) {
    const { chance } = around.world;
    this.#around = around;
    // Several of one machine, and one on each: what is known of the dead differs.
    const isOneMachine = chance.happens(0.5);
    this.#places = Array.from({ length: size }, (_, number) => ({
      number,
      name: isOneMachine ? 'machine' : `machine ${number}`,
      process: null,
      gateway: null,
      lives: 0,
    }));
    this.startAll();
  }

  /** Those that serve. */
  get living(): readonly Gateway[] {
    return this.#places.flatMap(({ gateway }) => (gateway?.process.isAlive === true ? [gateway] : []));
  }

  /** Those that serve, and those that are about to. */
  get processes(): readonly Process[] {
    return this.#places.flatMap(({ process }) => (process?.isAlive === true ? [process] : []));
  }

  startAll(): void {
    for (const place of this.#places) if (place.process?.isAlive !== true) this.#start(place);
  }

  /** At once, or between two of the things that it does next; another takes its place after a while. */
  kill(): void {
    const { world, figures } = this.#around;
    const { chance } = world;
    const place = chance.pick(this.#places);
    const { process } = place;
    if (process?.isAlive !== true) return;
    figures.add('crashes of gateways');
    if (chance.happens(0.5)) process.die('at once');
    else process.dieAfter(chance.whole(0, 5));
    const backInMs = chance.pick([10, 100, 1_000, 5_000]);
    world.after(backInMs, `place ${place.number} is started`, () => {
      process.die('at last');
      if (place.process === process) this.#start(place);
    });
  }

  /** In the same place as the one before, which is then known to be dead, or somewhere that nobody knows of. */
  #start(place: Place): void {
    const { world } = this.#around;
    place.lives++;
    const process = new Process(`n${place.number}.${place.lives}`, world);
    place.process = process;
    place.gateway = null;
    const isSame = world.chance.happens(0.5);
    world.note(`${process.name} starts ${isSame ? `on ${place.name}` : 'elsewhere'}`);
    startGateway(process, this.#around, isSame ? place.name : null, (gateway) => {
      world.note(`${process.name} serves`);
      place.gateway = gateway;
    });
  }
}
