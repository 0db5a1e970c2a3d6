import { checkBoolean, checkNumber } from '../check';
import type { NativeAddon } from '../native/addon';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import type { TensorData } from '../tensor';
import { type ParameterGroup, readGroups } from './groups';
import { Optimizer, type OptimizerArrays } from './optimizer';
import { averageBound, quotientBound, type Reach, type Sizes } from './safe-range';

/** Options of {@link RMSprop}, and of a group of its parameters. */
export interface RMSpropOptions {
  /** 0.01 unless given */
  learningRate?: number;
  /** decay of the average of the squared gradient, from 0 to 1; 0.99 unless given */
  alpha?: number;
  /** 1e-8 unless given; a gradient of zero moves nothing, whatever it is */
  eps?: number;
  /** 0 unless given */
  weightDecay?: number;
  /** 0 unless given */
  momentum?: number;
  /** whether to divide by an estimate of the gradient's variance instead of its mean square; false unless given */
  centered?: boolean;
  /** whether to go up the gradient instead of down; false unless given */
  maximize?: boolean;
}

/**
 * RMSprop (Tieleman, Hinton 2012, Coursera lecture 6.5), as torch.optim.RMSprop: g ← grad + weightDecay·w;
 * v ← alpha·v + (1 − alpha)g²; w ← w − learningRate·g/(√v + ε), or with momentum b ← momentum·b + g/(√v + ε), w ← w − learningRate·b.
 * Centered (Graves 2013, arXiv:1308.0850), √(v − a²) stands for √v, with a ← alpha·a + (1 − alpha)g. To maximize, grad is taken times −1.
 */
export class RMSprop extends Optimizer {
  readonly #groups: readonly Settings[];
  readonly #passes: ReturnType<NativeAddon['rmspropPass']>[] = [];

  /**
   * @param parameters a list of them, or of groups with options of their own
   * @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range, or a parameter that stands there twice
   */
  constructor(parameters: readonly Parameter[] | readonly ParameterGroup<RMSpropOptions>[], options: RMSpropOptions = {}) {
    const { groups, learningRate } = readSettings(parameters, options);
    super(groups, learningRate);
    this.#groups = groups;
  }

  protected override update({ values, grads, state }: OptimizerArrays, learningRate: number, _step: number, group: number): void {
    const { stateNames, alpha, eps, weightDecay, momentum, maximize } = this.#groups[group] as Settings;
    const named = (name: string) => state[stateNames.indexOf(name)] ?? null;
    this.#passes[group] ??= native().rmspropPass(
      values,
      grads,
      named('square_avg') as readonly TensorData[],
      named('momentum_buffer'),
      named('grad_avg'),
    );
    this.#passes[group](learningRate, alpha, eps, weightDecay, momentum, maximize);
  }

  /** @internal */
  protected override reach({ values, gradients, states, squares }: Sizes, learningRate: number, _step: number, group: number): Reach {
    const { eps, weightDecay, momentum } = this.#groups[group] as Settings;
    const gradient = gradients + weightDecay * values;
    const update = averageBound(0, momentum * states + quotientBound(gradient, eps));
    const average = averageBound(states, gradient);
    const square = averageBound(squares, gradient ** 2);
    return {
      met: Math.max(values + Math.max(1, learningRate) * (1 + momentum + update), 4 * average ** 2, 4 * square),
      states: Math.max(update, average),
      squares: square,
    };
  }
}

type Settings = ReturnType<typeof readSettings>['groups'][number];

function readSettings(parameters: unknown, options: unknown) {
  const defaults = { learningRate: 0.01, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false, maximize: false };
  return readGroups('RMSprop options', parameters, options, defaults, (given, { name, largest }) => {
    const momentum = checkNumber(name('momentum'), given.momentum, { min: 0, max: largest });
    const centered = checkBoolean(name('centered'), given.centered);
    return {
      momentum,
      alpha: checkNumber(name('alpha'), given.alpha, { min: 0, max: 1 }),
      eps: checkNumber(name('eps'), given.eps, { min: 0, max: largest }),
      weightDecay: checkNumber(name('weightDecay'), given.weightDecay, { min: 0, max: largest }),
      maximize: checkBoolean(name('maximize'), given.maximize),
      stateNames: ['square_avg', ...(momentum === 0 ? [] : ['momentum_buffer']), ...(centered ? ['grad_avg'] : [])],
    };
  });
}
