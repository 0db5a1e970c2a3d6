import { checkBoolean, checkNumber, fail, readOptions } from '../check';
import type { NativeAddon } from '../native/addon';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import { Optimizer, type OptimizerArrays } from './optimizer';

/** Options of {@link SGD}. */
export interface SGDOptions {
  learningRate: number;
  /** 0 unless given */
  momentum?: number;
  /** needs a momentum above 0; false unless given */
  nesterov?: boolean;
  /** 0 unless given */
  weightDecay?: number;
}

/**
 * Stochastic gradient descent, as torch.optim.SGD with dampening 0: g ← grad + weightDecay·w; b ← momentum·b + g (b ← g at the first step);
 * w ← w − learningRate·b, or with Nesterov's momentum w ← w − learningRate·(g + momentum·b).
 */
export class SGD extends Optimizer {
  readonly #momentum: number;
  readonly #nesterov: boolean;
  readonly #weightDecay: number;
  #pass: ReturnType<NativeAddon['sgdPass']> | undefined;

  /** @throws EvenkeelError ERR_OPTION for an option that is missing, unknown or out of range, or a parameter that stands there twice */
  constructor(parameters: readonly Parameter[], options: SGDOptions) {
    const given = readOptions('SGD options', options, ['learningRate', 'momentum', 'nesterov', 'weightDecay'], {
      momentum: 0,
      nesterov: false,
      weightDecay: 0,
    });
    const momentum = checkNumber('momentum', given.momentum, { min: 0 });
    super(parameters, given.learningRate, momentum === 0 ? [] : ['momentum_buffer']);
    this.#momentum = momentum;
    this.#nesterov = checkBoolean('nesterov', given.nesterov);
    this.#weightDecay = checkNumber('weightDecay', given.weightDecay, { min: 0 });
    if (this.#nesterov && momentum === 0) fail('ERR_OPTION', 'momentum', 'a number above 0 for nesterov', momentum);
  }

  protected override update({ values, grads, state: [buffers] }: OptimizerArrays, learningRate: number, step: number): void {
    this.#pass ??= native().sgdPass(values, grads, buffers ?? null);
    this.#pass(learningRate, this.#momentum, this.#nesterov, this.#weightDecay, step === 1);
  }
}
