import { checkBoolean, checkInteger, checkNumber, checkOneOf, readOptions } from '../../check';
import { checkTime, type Schedule } from './schedule';

/** Options of {@link OneCycleLR}. */
export interface OneCycleLROptions {
  /** how many steps the cycle has */
  totalSteps: number;
  /** the largest rate; the initial one of the optimiser, and of each group of its own rate, unless given */
  maxLearningRate?: number;
  /** the part of the cycle in which the rate rises; 0.3 unless given */
  pctStart?: number;
  /** along half a cosine or a straight line; `'cos'` unless given */
  annealStrategy?: 'cos' | 'linear';
  /** the largest rate is so many times the first; 25 unless given */
  divFactor?: number;
  /** the first rate is so many times the last; 1e4 unless given */
  finalDivFactor?: number;
  /** whether the rate falls back to the first as fast as it rose, and only then to the last; false unless given */
  threePhase?: boolean;
}

/** The last step of a part of the cycle, and the rates between which it goes, as parts of the largest. */
type Phase = readonly [end: number, from: number, to: number];

/**
 * One cycle of the learning rate, up and then down (Smith, Topin 2017, arXiv:1708.07120), as torch.optim.lr_scheduler.OneCycleLR with
 * `cycle_momentum=False`. After the cycle the rate stays at its last, where PyTorch throws.
 */
export class OneCycleLR implements Schedule {
  readonly #max: number | undefined;
  readonly #anneal: (from: number, to: number, part: number) => number;
  readonly #phases: readonly Phase[];

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: OneCycleLROptions) {
    const known = ['totalSteps', 'maxLearningRate', 'pctStart', 'annealStrategy', 'divFactor', 'finalDivFactor', 'threePhase'] as const;
    const defaults = { pctStart: 0.3, annealStrategy: 'cos', divFactor: 25, finalDivFactor: 1e4, threePhase: false };
    const given = readOptions('OneCycleLR options', options, known, defaults);
    const total = checkInteger('totalSteps', given.totalSteps, 1);
    this.#max = given.maxLearningRate === undefined ? undefined : checkNumber('maxLearningRate', given.maxLearningRate, { min: 0 });
    const peak = checkNumber('pctStart', given.pctStart, { min: 0, max: 1 }) * total - 1;
    this.#anneal = checkOneOf('annealStrategy', given.annealStrategy, ['cos', 'linear']) === 'cos' ? alongCosine : alongLine;
    const first = 1 / checkNumber('divFactor', given.divFactor, { above: 0 });
    const last = first / checkNumber('finalDivFactor', given.finalDivFactor, { above: 0 });
    const fall: Phase[] = checkBoolean('threePhase', given.threePhase)
      ? [
          [2 * peak, 1, first],
          [total - 1, first, last],
        ]
      : [[total - 1, 1, last]];
    this.#phases = [[peak, first, 1], ...fall];
  }

  learningRate(step: number, initial: number): number {
    checkTime(step, initial);
    const largest = this.#max ?? initial;
    let start = 0;
    for (const [end, from, to] of this.#phases) {
      // A phase of one step is at its end, where PyTorch divides by zero.
      if (step <= end) return largest * this.#anneal(from, to, end > start ? (step - start) / (end - start) : 1);
      start = end;
    }
    return largest * (this.#phases.at(-1) as Phase)[2];
  }
}

function alongCosine(from: number, to: number, part: number): number {
  return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * part));
}

function alongLine(from: number, to: number, part: number): number {
  return from + (to - from) * part;
}
