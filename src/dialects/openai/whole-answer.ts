import { type AnswerReading, nothingSaid } from '../dialect.ts';
import { asObject, parseJson } from '../json.ts';
import { answerNameOf, type Choices, serviceTierOf, takeChoices } from './choices.ts';
import { errorMessage } from './errors.ts';
import { statedCost } from './stated-cost.ts';

/** Meters a whole answer. One that isn't an answer is metered as having generated nothing. */
export function readWholeAnswer(body: Buffer, choices: Choices): AnswerReading {
  const answer = asObject(parseJson(body.toString('utf8')));
  if (answer === null) {
    return { ...nothingSaid, generated: choices.generated(), error: 'The answer is not a JSON object' };
  }
  const { finishReason } = takeChoices(answer, choices);
  const reported = asObject(answer.usage);
  return {
    ...nothingSaid,
    usage: choices.usageOf(reported),
    units: choices.units(),
    generated: choices.generated(),
    finishReason,
    error: errorMessage(answer.error),
    serviceTier: serviceTierOf(answer, reported),
    statedCost: statedCost(reported),
    reported,
    ...answerNameOf(answer),
  };
}
