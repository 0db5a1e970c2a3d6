import { checkBoolean, checkNumber, fail, readSafely } from '../check';
import type { NativeAddon } from '../native/addon';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import type { TensorData } from '../tensor';
import { checkSparseOption, type ParameterGroup, readGroups } from './groups';
import { Optimizer, type OptimizerArrays } from './optimizer';
import { averageBound, quotientBound, type Reach, type Sizes } from './safe-range';

/** Options of {@link Adam} and {@link AdamW}, and of a group of their parameters. */
export interface AdamOptions {
  /** 1e-3 unless given */
  learningRate?: number;
  /** decay of the averages of the gradient and of its square; [0.9, 0.999] unless given */
  betas?: readonly [number, number];
  /** 1e-8 unless given; a gradient of zero moves nothing, whatever it is */
  eps?: number;
  /** Adam: 0, AdamW: 0.01 unless given */
  weightDecay?: number;
  /** whether v never decreases where it divides (Reddi, Kale, Kumar 2018, arXiv:1904.09237); false unless given */
  amsgrad?: boolean;
  /** whether to go up the gradient instead of down; false unless given */
  maximize?: boolean;
}

/**
 * Adam (Kingma, Ba 2014, arXiv:1412.6980), as torch.optim.Adam: m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
 * w ← w − learningRate · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε). Weight decay is added to the gradient: g ← grad + weightDecay·w. With amsgrad
 * the largest v so far stands for v; to maximize, grad is taken times −1. Of a sparse gradient only the rows that were used are gone over, m and v
 * too, as in torch.optim.SparseAdam: w ← w − learningRate · √(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε).
 *
 * @example
 * const model = new GRU({ inputSize: 4, hiddenSize: 16 });
 * const optimizer = new Adam(model.parameters(), { learningRate: 0.01 });
 * optimizer.zeroGrad();
 * model.backward(mseLoss(model.forward(Tensor.randn([8, 30, 4])), Tensor.zeros([8, 30, 16])).grad);
 * optimizer.step();
 */
export class Adam extends Optimizer {
  readonly #steps: AdamSteps;

  /**
   * @param parameters a list of them, or of groups with options of their own
   * @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range, or a parameter that stands there twice
   */
  constructor(parameters: readonly Parameter[] | readonly ParameterGroup<AdamOptions>[], options: AdamOptions = {}) {
    const { groups, learningRate } = readSettings('Adam options', parameters, options, 0);
    super(groups, learningRate);
    this.#steps = new AdamSteps(groups, false);
  }

  protected override update(arrays: OptimizerArrays, learningRate: number, step: number, group: number): void {
    this.#steps.run(arrays, learningRate, step, group);
  }

  /** @internal */
  protected override reach(from: Sizes, learningRate: number, step: number, group: number): Reach {
    return this.#steps.reach(from, learningRate, step, group);
  }

  protected override updateRows(arrays: OptimizerArrays, learningRate: number, step: number, group: number): void {
    this.#steps.runRows(arrays, learningRate, step, group);
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov, Hutter 2017, arXiv:1711.05101), as torch.optim.AdamW:
 * first w ← w − learningRate·weightDecay·w, then Adam's step from the plain gradient.
 */
export class AdamW extends Optimizer {
  readonly #steps: AdamSteps;

  /**
   * @param parameters a list of them, or of groups with options of their own
   * @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range, or a parameter that stands there twice
   */
  constructor(parameters: readonly Parameter[] | readonly ParameterGroup<AdamOptions>[], options: AdamOptions = {}) {
    const { groups, learningRate } = readSettings('AdamW options', parameters, options, 0.01);
    super(groups, learningRate);
    this.#steps = new AdamSteps(groups, true);
  }

  protected override update(arrays: OptimizerArrays, learningRate: number, step: number, group: number): void {
    this.#steps.run(arrays, learningRate, step, group);
  }

  /** @internal */
  protected override reach(from: Sizes, learningRate: number, step: number, group: number): Reach {
    return this.#steps.reach(from, learningRate, step, group);
  }
}

interface AdamSettings {
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  maximize: boolean;
}

function readSettings(where: string, parameters: unknown, options: unknown, weightDecay: number) {
  const defaults = { learningRate: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay, amsgrad: false, maximize: false };
  return readGroups(where, parameters, options, defaults, (given, context) => {
    const { name, largest } = context;
    const betas = readSafely(name('betas'), () =>
      Array.isArray(given.betas) && given.betas.length === 2 ? Array.from<unknown>(given.betas) : undefined,
    );
    if (betas === undefined) fail('ERR_OPTION', name('betas'), 'two numbers', given.betas);
    const amsgrad = checkBoolean(name('amsgrad'), given.amsgrad);
    checkSparseOption(context, 'amsgrad', amsgrad, false);
    checkSparseOption(context, 'weightDecay', given.weightDecay, 0);
    return {
      beta1: checkNumber(name('betas[0]'), betas[0], { min: 0, below: 1 }),
      beta2: checkNumber(name('betas[1]'), betas[1], { min: 0, below: 1 }),
      eps: checkNumber(name('eps'), given.eps, { min: 0, max: largest }),
      weightDecay: checkNumber(name('weightDecay'), given.weightDecay, { min: 0, max: largest }),
      maximize: checkBoolean(name('maximize'), given.maximize),
      stateNames: ['exp_avg', 'exp_avg_sq', ...(amsgrad ? ['max_exp_avg_sq'] : [])],
    };
  });
}

/** The steps of one optimiser's groups. */
class AdamSteps {
  readonly #groups: readonly AdamSettings[];
  readonly #decoupled: boolean;
  readonly #passes: ReturnType<NativeAddon['adamPass']>[] = [];

  constructor(groups: readonly AdamSettings[], decoupled: boolean) {
    this.#groups = groups;
    this.#decoupled = decoupled;
  }

  run(arrays: OptimizerArrays, learningRate: number, step: number, group: number): void {
    const { beta1, beta2, eps, weightDecay, maximize } = this.#groups[group] as AdamSettings;
    this.#passes[group] ??= makePass(arrays);
    this.#passes[group](learningRate, beta1, beta2, eps, weightDecay, this.#decoupled, step, maximize);
  }

  reach({ values, gradients, states, squares }: Sizes, learningRate: number, step: number, group: number): Reach {
    const { beta1, beta2, eps, weightDecay } = this.#groups[group] as AdamSettings;
    const decay = weightDecay * values;
    const gradient = this.#decoupled ? gradients : gradients + decay;
    const value = this.#decoupled ? values + learningRate * decay : values;
    const rate = learningRate / (1 - beta1 ** step);
    const average = averageBound(states, gradient);
    const square = averageBound(squares, gradient ** 2);
    const root = Math.sqrt(square) / Math.sqrt(1 - beta2 ** step);
    const met = Math.max(value + Math.max(1, rate) * (1 + quotientBound(average, eps)), 4 * average ** 2, 4 * square, root, weightDecay);
    return { met, states: average, squares: square };
  }

  /** torch.optim.SparseAdam adds ε to √v before the correction of bias: Adam's step with an ε of ε/√(1 − β₂ᵗ). */
  runRows(arrays: OptimizerArrays, learningRate: number, step: number, group: number): void {
    const { beta1, beta2, eps, maximize } = this.#groups[group] as AdamSettings;
    makePass(arrays)(learningRate, beta1, beta2, eps / Math.sqrt(1 - beta2 ** step), 0, false, step, maximize);
  }
}

function makePass({ values, grads, state }: OptimizerArrays): ReturnType<NativeAddon['adamPass']> {
  const [firstMoments, secondMoments, largest] = state as [readonly TensorData[], readonly TensorData[], (readonly TensorData[])?];
  return native().adamPass(values, grads, firstMoments, secondMoments, largest ?? null);
}
