import { checkBoolean, checkNumber, fail } from '../check';
import type { NativeAddon } from '../native/addon';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import { checkSparseOption, type ParameterGroup, readGroups } from './groups';
import { Optimizer, type OptimizerArrays } from './optimizer';
import { averageBound, type Reach, type Sizes } from './safe-range';

/** Options of {@link SGD}, and of a group of its parameters. */
export interface SGDOptions {
  learningRate: number;
  /** 0 unless given */
  momentum?: number;
  /** what of the gradient does not go into the momentum after the first step; 0 unless given */
  dampening?: number;
  /** needs a momentum above 0 and no dampening; false unless given */
  nesterov?: boolean;
  /** 0 unless given */
  weightDecay?: number;
  /** whether to go up the gradient instead of down; false unless given */
  maximize?: boolean;
}

/**
 * Stochastic gradient descent, as torch.optim.SGD: g ← grad + weightDecay·w; b ← momentum·b + (1 − dampening)·g (b ← g at the first step);
 * w ← w − learningRate·b, or with Nesterov's momentum w ← w − learningRate·(g + momentum·b). To maximize, grad is taken times −1. Of a sparse
 * gradient only the rows that were used are gone over, which takes a momentum and a weight decay of 0.
 */
export class SGD extends Optimizer {
  readonly #groups: readonly Settings[];
  readonly #passes: ReturnType<NativeAddon['sgdPass']>[] = [];

  /**
   * @param parameters a list of them, or of groups with options of their own
   * @throws EvenkeelError ERR_OPTION for an option that is missing, unknown or out of range, or a parameter that stands there twice
   */
  constructor(parameters: readonly Parameter[] | readonly ParameterGroup<Partial<SGDOptions>>[], options: SGDOptions) {
    const { groups, learningRate } = readSettings(parameters, options);
    super(groups, learningRate);
    this.#groups = groups;
  }

  protected override update({ values, grads, state }: OptimizerArrays, learningRate: number, step: number, group: number): void {
    const { momentum, nesterov, weightDecay, dampening, maximize } = this.#groups[group] as Settings;
    this.#passes[group] ??= native().sgdPass(values, grads, state[0] ?? null);
    this.#passes[group](learningRate, momentum, nesterov, weightDecay, step === 1, dampening, maximize);
  }

  protected override updateRows({ values, grads }: OptimizerArrays, learningRate: number, _step: number, group: number): void {
    const { maximize } = this.#groups[group] as Settings;
    native().sgdPass(values, grads, null)(learningRate, 0, false, 0, false, 0, maximize);
  }

  /** @internal */
  protected override reach({ values, gradients, states }: Sizes, learningRate: number, _step: number, group: number): Reach {
    const { momentum, weightDecay, dampening } = this.#groups[group] as Settings;
    const gradient = gradients + weightDecay * values;
    const buffer = averageBound(0, momentum * states + Math.max(1, Math.abs(1 - dampening)) * gradient);
    const direction = 1 + gradient + (1 + momentum) * buffer;
    return { met: values + Math.max(1, learningRate) * direction + Math.abs(dampening), states: buffer, squares: 0 };
  }
}

type Settings = ReturnType<typeof readSettings>['groups'][number];

function readSettings(parameters: unknown, options: unknown) {
  const defaults = { learningRate: undefined, momentum: 0, dampening: 0, nesterov: false, weightDecay: 0, maximize: false };
  return readGroups('SGD options', parameters, options, defaults, (given, context) => {
    const { name, largest } = context;
    const momentum = checkNumber(name('momentum'), given.momentum, { min: 0, max: largest });
    const dampening = checkNumber(name('dampening'), given.dampening, { min: -largest, max: largest });
    const nesterov = checkBoolean(name('nesterov'), given.nesterov);
    const weightDecay = checkNumber(name('weightDecay'), given.weightDecay, { min: 0, max: largest });
    const maximize = checkBoolean(name('maximize'), given.maximize);
    if (nesterov && momentum === 0) fail('ERR_OPTION', name('momentum'), 'a number above 0 for nesterov', momentum);
    if (nesterov && dampening !== 0) fail('ERR_OPTION', name('dampening'), '0 for nesterov', dampening);
    checkSparseOption(context, 'momentum', momentum, 0);
    checkSparseOption(context, 'weightDecay', weightDecay, 0);
    return { momentum, dampening, nesterov, weightDecay, maximize, stateNames: momentum === 0 ? [] : ['momentum_buffer'] };
  });
}
