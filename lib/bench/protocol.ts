/**
 * What the benchmark's parts say to each other. A driver is a process of its own per case (one system, one trial, one thread count): it
 * reads one JSON line at a time from standard input and answers each with one JSON line on standard output, so that a driver may be written
 * in any language, and so that the runner decides whose turn it is.
 */
import type { Placement } from '../index';

/** N sequences, T steps, I inputs, H hidden units. */
export interface TrialShape {
  n: number;
  t: number;
  i: number;
  h: number;
}

/**
 * What is timed:
 * - `train`: zero gradients, RNN (tanh), LayerNorm over its outputs (eps 1e-5), MSE against a target on all steps, backward, clipping of the
 *   global norm at 1.0, Adam (1e-3, betas 0.9 and 0.999, eps 1e-8);
 * - `forward`: RNN and LayerNorm, no gradient;
 * - `backward`: the gradients of all parameters from the loss of one forward pass, which is not timed itself;
 * - `rnn`: the RNN alone, forward and backward with a given output gradient, with the gradients of the input and of all parameters;
 * - `layer-norm`: LayerNorm alone over N·T rows of H, forward and backward with a given output gradient;
 * - `placement`: `train` with a LayerNorm within the recurrence, where the trial's `placement` says, and none after it;
 * - of a cell with gates, and no LayerNorm after it: `lstm-train`, `gru-train`, `layer-norm-lstm-train` are `train`; `…-forward` are `forward`;
 *   `…-step` is a stream of one sequence, N = 1: T steps from a zero state, each a call of its own that goes on from the state before, no gradient.
 */
export type Work = 'train' | 'forward' | 'backward' | 'rnn' | 'layer-norm' | 'placement' | GatedWork;

export type GatedWork = `${GatedCell}-${GatedPart}`;

/**
 * With a = x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh, in PyTorch's order of gates:
 * - `lstm`: i, f, g, o of a; c_t = σ(f) c_{t−1} + σ(i) tanh(g); h_t = σ(o) tanh(c_t);
 * - `gru`: r, z of a; n = tanh(x_t W_inᵀ + b_in + σ(r) (h_{t−1} W_hnᵀ + b_hn)); h_t = (1 − σ(z)) n + σ(z) h_{t−1};
 * - `gru-reset-before` (Cho et al. 2014): the same with n = tanh(x_t W_inᵀ + b_in + (σ(r) h_{t−1}) W_hnᵀ + b_hn);
 * - `layer-norm-lstm` (Ba et al. 2016, supplement): a = LN₁(x_t W_ihᵀ) + LN₂(h_{t−1} W_hhᵀ) + b_ih + b_hh, over all 4H, with a weight each and no
 *   bias; h_t = σ(o) tanh(LN₃(c_t)), and c_t itself is carried on.
 */
export type GatedCell = 'lstm' | 'gru' | 'gru-reset-before' | 'layer-norm-lstm';

export type GatedPart = 'train' | 'forward' | 'step';

/**
 * Where a LayerNorm stands within the recurrence (Ba et al. 2016, arXiv:1607.06450, for the first two), with x̂_t = x_t W_ihᵀ, ĥ_t = h_{t−1} W_hhᵀ
 * and b = b_ih + b_hh:
 * - `preactivation`: h_t = tanh(LN(x̂_t + ĥ_t + b));
 * - `split-preactivation`: h_t = tanh(LN₁(x̂_t) + LN₂(ĥ_t) + b), where LN₁ and LN₂ have a weight each and no bias;
 * - `recurrent-input`: h_t = tanh(x̂_t + b + LN(h_{t−1}) W_hhᵀ);
 * - `hidden`: h_t = LN(tanh(x̂_t + ĥ_t + b)), which is also what is fed back.
 */
export type InnerPlacement = Exclude<Placement, 'none'>;

/** One row of the table of trials. */
export interface Trial extends TrialShape {
  /** such as `train 32,50,10,20`: unique */
  id: string;
  work: Work;
  /** for the work `placement` */
  placement?: InnerPlacement;
  /** products so large that all threads are never the slower number, and steps so long that the numbers after another one are not compared */
  allThreadsOnly?: boolean;
  /** part of the short run */
  quick: boolean;
  /** why this shape is here */
  why: string;
}

/** The first line a driver gets. */
export interface StartMessage {
  trial: Trial;
  threads: number;
  /** which way of expressing the work, for rivals that have several: TF.js' tf.layers, an autodiff loop, a hand-written gradient */
  tier?: string;
  /**
   * A safetensors file, float32, with the same data for every driver: `input` [N, T, I], `target` [N, T, H], and the initial values of
   * `rnn.weight_ih_l0` [H, I], `rnn.weight_hh_l0` [H, H], `rnn.bias_ih_l0` [H], `rnn.bias_hh_l0` [H], `ln.weight` [H], `ln.bias` [H];
   * for the work `layer-norm`: `input` [N, T, H], `gradOutput` [N, T, H], `ln.weight`, `ln.bias`;
   * for `rnn`: `gradOutput` [N, T, H] in place of `target`, and no `ln.*`;
   * for `placement`, instead of `ln.*`: `rnn.norm.weight` and `rnn.norm.bias` [H], or `rnn.norm_ih.weight` and `rnn.norm_hh.weight` [H]
   * where it is split;
   * for cells with gates G·H in place of H in `rnn.weight_*` and `rnn.bias_*`, no `ln.*`, and of a `layer-norm-lstm` `rnn.norm_ih.weight` and
   * `rnn.norm_hh.weight` [4H], `rnn.norm_cell.weight` and `rnn.norm_cell.bias` [H].
   * A rival with one bias takes the sum of both as its bias, and counts its gradient twice in the norm, as two equal biases would.
   */
  dataFile: string;
}

/** A driver's answer once it is loaded and has made data and model. */
export interface ReadyMessage {
  ready: true;
  /** name and version of what computes, such as `TF.js 4.22.0, wasm (SIMD)` */
  system: string;
  /** resident memory before the data and the model were made */
  baseBytes: number;
}

/** Run the work again and again for about this long, and at least once. The first of these lines asks for no time: it is the first call. */
export interface RunMessage {
  runMs: number;
}

export interface TimesMessage {
  /** one time per call, in order */
  timesMs: number[];
  /** the process's largest resident memory so far */
  peakBytes: number;
}

/** Asked once, right after the first call, before anything else is timed. */
export interface MeasureMessage {
  measure: true;
  /** only those that need no further step, of a case whose steps take too long */
  first?: boolean;
}

/**
 * What must agree: the numbers on the initial weights.
 * - `train`, `backward`, `placement`, `…-train`: loss = the MSE, norm = the 2-norm of all parameter gradients before clipping;
 * - `forward`, `…-forward`, `…-step`: loss = the mean of the output's squares, norm = the output's 2-norm;
 * - `layer-norm`, `rnn`: loss = the mean of the output's squares, norm = the 2-norm of all gradients (input and parameters).
 */
export interface Numbers {
  loss: number;
  norm: number;
  /** for training only: the 2-norm of the gradients that the optimiser gets. The data are such that the clip acts. */
  clippedNorm?: number;
  /** loss and norm after one training step, for training only: they show that the optimiser agrees too */
  nextLoss?: number;
  nextNorm?: number;
}

/** Any answer may be this instead; the driver then ends. */
export interface FailMessage {
  error: string;
  /** what to type when a rival is not installed */
  install?: string;
}
