import { EvenkeelError } from '../errors';
import type { StateDict } from '../state-dict';
import { checkTensor } from '../tensor';
import { pack, unpack } from './packed';
import type { Part } from './part';
import type { History, StepResult } from './records';
import type { TrainingWarning } from './state-watch';

const STEP_LISTS = ['loss', 'gradNorm', 'clippedGradNorm', 'clipThreshold', 'clipped', 'skipped', 'learningRate', 'largestState'] as const;

/** The history of a training under way. */
export class HistoryPart implements Part {
  readonly history: History;

  constructor(hasFlow: boolean) {
    const lists = Object.fromEntries([...STEP_LISTS, 'warnings'].map((name) => [name, []])) as unknown as Omit<History, 'epochs'>;
    this.history = { ...lists, ...(hasFlow && { gradientFlow: [] }), epochs: [] };
  }

  /** How many steps are in it. */
  get steps(): number {
    return this.history.loss.length;
  }

  record(
    step: number,
    { loss, gradNorm, clippedGradNorm, clipThreshold, clipped, skipped, learningRate, flow }: StepResult,
    largestState: number,
    warnings: readonly TrainingWarning[],
  ): void {
    const { history } = this;
    history.loss.push(loss);
    history.gradNorm.push(gradNorm);
    history.clippedGradNorm.push(clippedGradNorm);
    history.clipThreshold.push(clipThreshold);
    history.clipped.push(clipped);
    history.skipped.push(skipped);
    history.learningRate.push(learningRate);
    history.largestState.push(largestState);
    history.warnings.push(...warnings);
    if (flow !== undefined) history.gradientFlow?.push({ step, ...flow });
  }

  /** The mean loss of the steps from one on that were not skipped. */
  meanLoss(first: number): number {
    const { loss, skipped } = this.history;
    let sum = 0;
    let count = 0;
    for (let i = first; i < loss.length; i++) {
      if (skipped[i]) continue;
      sum += loss[i] as number;
      count++;
    }
    return sum / count;
  }

  state(): StateDict {
    return pack(this.history);
  }

  load(state: StateDict): void {
    const form = checkTensor('history.form', state.form, 'float32', ['bytes']);
    const numbers = checkTensor('history.numbers', state.numbers, 'float64', ['numbers']);
    let loaded: History;
    try {
      loaded = checkHistory(unpack({ form, numbers }), this.history);
    } catch (cause) {
      throw new EvenkeelError('ERR_STATE', 'history: expected what fit saved, got something else (see the cause).', { cause });
    }
    for (const key of Object.keys(this.history)) delete this.history[key as 'best'];
    Object.assign(this.history, loaded);
  }
}

/** @throws a RangeError for anything else; lists that this training keeps and the saved one did not are there, and empty */
function checkHistory(value: unknown, own: History): History {
  const given = value as History;
  const count = given.loss.length;
  if (!STEP_LISTS.every((name) => Array.isArray(given[name]) && given[name].length === count))
    throw new RangeError('lists of unlike lengths');
  if (!Array.isArray(given.epochs) || !Array.isArray(given.warnings)) throw new RangeError('no records of epochs, or no warnings');
  return own.gradientFlow === undefined || given.gradientFlow !== undefined ? given : { ...given, gradientFlow: [] };
}
