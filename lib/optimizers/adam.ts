import { checkNumber, fail, readOptions, readSafely } from '../check';
import type { NativeAddon } from '../native/addon';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import type { TensorData } from '../tensor';
import { Optimizer, type OptimizerArrays } from './optimizer';

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions {
  /** 1e-3 unless given */
  learningRate?: number;
  /** decay of the averages of the gradient and of its square; [0.9, 0.999] unless given */
  betas?: readonly [number, number];
  /** 1e-8 unless given */
  eps?: number;
  /** Adam: 0, AdamW: 0.01 unless given */
  weightDecay?: number;
}

interface AdamSettings {
  learningRate: unknown;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
}

const STATE_NAMES = ['exp_avg', 'exp_avg_sq'];

/**
 * Adam (Kingma, Ba 2014, arXiv:1412.6980), as torch.optim.Adam: m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
 * w ← w − learningRate · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε). Weight decay is added to the gradient: g ← grad + weightDecay·w.
 */
export class Adam extends Optimizer {
  readonly #step: AdamStep;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range, or a parameter that stands there twice */
  constructor(parameters: readonly Parameter[], options: AdamOptions = {}) {
    const settings = readSettings('Adam options', options, 0);
    super(parameters, settings.learningRate, STATE_NAMES);
    this.#step = new AdamStep(settings, false);
  }

  protected override update(arrays: OptimizerArrays, learningRate: number, step: number): void {
    this.#step.run(arrays, learningRate, step);
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov, Hutter 2017, arXiv:1711.05101), as torch.optim.AdamW:
 * first w ← w − learningRate·weightDecay·w, then Adam's step from the plain gradient.
 */
export class AdamW extends Optimizer {
  readonly #step: AdamStep;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range, or a parameter that stands there twice */
  constructor(parameters: readonly Parameter[], options: AdamOptions = {}) {
    const settings = readSettings('AdamW options', options, 0.01);
    super(parameters, settings.learningRate, STATE_NAMES);
    this.#step = new AdamStep(settings, true);
  }

  protected override update(arrays: OptimizerArrays, learningRate: number, step: number): void {
    this.#step.run(arrays, learningRate, step);
  }
}

function readSettings(where: string, options: AdamOptions, weightDecay: number): AdamSettings {
  const defaults = { learningRate: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay };
  const given = readOptions(where, options, ['learningRate', 'betas', 'eps', 'weightDecay'], defaults);
  const betas = readSafely('betas', () =>
    Array.isArray(given.betas) && given.betas.length === 2 ? Array.from<unknown>(given.betas) : undefined,
  );
  if (betas === undefined) fail('ERR_OPTION', 'betas', 'two numbers', given.betas);
  return {
    learningRate: given.learningRate,
    beta1: checkNumber('betas[0]', betas[0], { min: 0, below: 1 }),
    beta2: checkNumber('betas[1]', betas[1], { min: 0, below: 1 }),
    eps: checkNumber('eps', given.eps, { min: 0 }),
    weightDecay: checkNumber('weightDecay', given.weightDecay, { min: 0 }),
  };
}

/** The step of one optimiser. */
class AdamStep {
  readonly #settings: AdamSettings;
  readonly #decoupled: boolean;
  #pass: ReturnType<NativeAddon['adamPass']> | undefined;

  constructor(settings: AdamSettings, decoupled: boolean) {
    this.#settings = settings;
    this.#decoupled = decoupled;
  }

  run({ values, grads, state }: OptimizerArrays, learningRate: number, step: number): void {
    const [firstMoments, secondMoments] = state as [readonly TensorData[], readonly TensorData[]];
    const { beta1, beta2, eps, weightDecay } = this.#settings;
    this.#pass ??= native().adamPass(values, grads, firstMoments, secondMoments);
    this.#pass(learningRate, beta1, beta2, eps, weightDecay, this.#decoupled, step);
  }
}
