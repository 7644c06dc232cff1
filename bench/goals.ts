import { rounded } from './figures.ts';

/** What a figure has to be, as a ratio of things that were measured in the same run. */
export interface Goal {
  readonly what: string;
  readonly figure: number;
  readonly bound: 'at most' | 'at least';
  readonly goal: number;
  /** Of the figure; none for a ratio. */
  readonly unit?: string;
}

/** A figure that isn't there is missed too. */
export const holds = ({ figure, bound, goal }: Goal): boolean =>
  bound === 'at most' ? figure <= goal : figure >= goal;

const figureText = ({ figure, unit = '×' }: Goal) => `${rounded(figure)} ${unit}`;
const goalText = ({ bound, goal, unit = '×' }: Goal) => `${bound} ${goal} ${unit}`;

export const goalRow = (goal: Goal): Readonly<Record<string, string>> => ({
  what: goal.what,
  figure: figureText(goal),
  goal: goalText(goal),
  holds: holds(goal) ? 'yes' : 'no',
});

/** What is told of a goal that doesn't hold. */
export const missed = (goal: Goal): string =>
  `${goal.what}: ${figureText(goal)}, and the goal is ${goalText(goal)}`;
