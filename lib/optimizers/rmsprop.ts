import { checkNumber, readOptions } from '../check';
import type { NativeAddon } from '../native/addon';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import type { TensorData } from '../tensor';
import { Optimizer, type OptimizerArrays } from './optimizer';

/** Options of {@link RMSprop}. */
export interface RMSpropOptions {
  /** 0.01 unless given */
  learningRate?: number;
  /** decay of the average of the squared gradient, from 0 to 1; 0.99 unless given */
  alpha?: number;
  /** 1e-8 unless given */
  eps?: number;
  /** 0 unless given */
  weightDecay?: number;
  /** 0 unless given */
  momentum?: number;
}

/**
 * RMSprop (Tieleman, Hinton 2012, Coursera lecture 6.5), as torch.optim.RMSprop, not centred: g ← grad + weightDecay·w;
 * v ← alpha·v + (1 − alpha)g²; w ← w − learningRate·g/(√v + ε), or with momentum b ← momentum·b + g/(√v + ε), w ← w − learningRate·b.
 */
export class RMSprop extends Optimizer {
  readonly #alpha: number;
  readonly #eps: number;
  readonly #weightDecay: number;
  readonly #momentum: number;
  #pass: ReturnType<NativeAddon['rmspropPass']> | undefined;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range, or a parameter that stands there twice */
  constructor(parameters: readonly Parameter[], options: RMSpropOptions = {}) {
    const defaults = { learningRate: 0.01, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0 };
    const given = readOptions('RMSprop options', options, ['learningRate', 'alpha', 'eps', 'weightDecay', 'momentum'], defaults);
    const momentum = checkNumber('momentum', given.momentum, { min: 0 });
    super(parameters, given.learningRate, momentum === 0 ? ['square_avg'] : ['square_avg', 'momentum_buffer']);
    this.#momentum = momentum;
    this.#alpha = checkNumber('alpha', given.alpha, { min: 0, max: 1 });
    this.#eps = checkNumber('eps', given.eps, { min: 0 });
    this.#weightDecay = checkNumber('weightDecay', given.weightDecay, { min: 0 });
  }

  protected override update({ values, grads, state }: OptimizerArrays, learningRate: number): void {
    const [squareAverages, buffers] = state as [readonly TensorData[], (readonly TensorData[])?];
    this.#pass ??= native().rmspropPass(values, grads, squareAverages, buffers ?? null);
    this.#pass(learningRate, this.#alpha, this.#eps, this.#weightDecay, this.#momentum);
  }
}
