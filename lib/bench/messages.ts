/** The door of the protocol, on both sides: each message is checked once, where it comes in, and past it has its type. */
import { atLeast0, type Check, finite, integer, listOf, type Members, objectWith, optional, orNull, text, word } from '../io/shape';
import type { MeasureMessage, Numbers, ReadyMessage, RunMessage, StartMessage, TimesMessage, Trial } from './protocol';
import { workTitles } from './works';

const line = text(100_000);
const count = integer(0);
const boolean: Check = (value) => typeof value === 'boolean';

const ready: Members<ReadyMessage> = { ready: word(true), system: line, baseBytes: atLeast0 };
/** A call of a microsecond is made some 50,000 times in a turn. */
const times: Members<TimesMessage> = { timesMs: listOf(atLeast0, 1, 10_000_000), peakBytes: atLeast0 };
/** JSON has null for what is not finite; whether what is left out should be there, the comparison says. */
const number = optional(orNull(finite));
const numbers: Members<Numbers> = { loss: number, norm: number, clippedNorm: number, nextLoss: number, nextNorm: number };

export const trialMembers: Members<Trial> = {
  n: count,
  t: count,
  i: count,
  h: count,
  id: line,
  work: word(...Object.keys(workTitles)),
  placement: optional(line),
  allThreadsOnly: optional(boolean),
  quick: boolean,
  why: line,
};
const start: Members<StartMessage> = { trial: objectWith(trialMembers), threads: count, tier: optional(line), dataFile: line };
const run: Members<RunMessage> = { runMs: atLeast0 };
const measure: Members<MeasureMessage> = { measure: word(true), first: optional(boolean) };

function door<Message>(members: Members<Message>) {
  return objectWith(members) as (message: unknown) => message is Message;
}

/** What the runner is answered. */
export const [isReady, isTimes, isNumbers] = [door(ready), door(times), door(numbers)];
/** What a driver is asked. */
export const [isStart, isRun, isMeasure] = [door(start), door(run), door(measure)];
