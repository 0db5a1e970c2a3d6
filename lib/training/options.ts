import type { Lengths } from '../lengths';
import type { LossOptions, LossResult } from '../losses/loss';
import type { Metric } from '../metrics/metric';
import type { Optimizer } from '../optimizers/optimizer';
import type { ReduceLROnPlateau } from '../optimizers/schedules/reduce-lr-on-plateau';
import type { Schedule } from '../optimizers/schedules/schedule';
import type { Generator } from '../random';
import type { GradientFlow } from '../stability/flow';
import type { Tensor } from '../tensor';
import type { Clip } from './clip-rule';
import type { CarriesState } from './parts';
import type { ProgressStream } from './progress-lines';
import type { EpochRecord } from './records';
import type { TrainingWarning } from './state-watch';

/** What one training step is made from. */
export interface Batch<Target = Tensor> {
  input: Tensor;
  /** whatever the loss takes */
  target: Target;
  /** how many steps of each sequence count, where not all do: model, loss and metrics are given them */
  lengths?: Lengths;
  /** how much each sample counts in the loss, which is given them; see {@link LossOptions} */
  sampleWeights?: LossOptions['sampleWeights'];
}

/**
 * Batches to go through once per epoch. Where they have `carriedState`, as those of makeBatches do, a checkpoint holds it: with that, or with
 * whatever they draw from as the option `generator`, a training that goes on in the middle of an epoch finds the same batches.
 */
export type Batches<Target = Tensor> = (Iterable<Batch<Target>> | AsyncIterable<Batch<Target>>) & CarriesState;

/** What `onStep` is told after each step. */
export interface StepRecord {
  /** counts on from the steps that were made with this optimiser, by fit or before its checkpoint was loaded; the first is 1 */
  step: number;
  /** from 1 */
  epoch: number;
  loss: number;
  /** the 2-norm of all gradients that are trained by, before clipping; NaN where the loss was not finite */
  gradNorm: number;
  /** the same after clipping; NaN in a skipped step */
  clippedGradNorm: number;
  /** the 2-norm of each trained parameter's gradient before clipping, by name */
  gradNorms: Record<string, number>;
  /** the norm, or with `clipValue` the magnitude, above which clipping acted; infinite without clipping, NaN in a skipped step */
  clipThreshold: number;
  /** whether clipping changed the gradients */
  clipped: boolean;
  /** whether the step was skipped because its loss, its gradients or what it made of the weights was not finite */
  skipped: boolean;
  /** the optimiser's in this step; a group may have its own */
  learningRate: number;
  /**
   * the largest magnitude in the states of the model's recurrent layers at the ends of the sequences, h_T, of an LSTM c_T too; NaN in a model without such
   * layers
   */
  largestState: number;
  /** in the steps that the option `gradientFlow` records, but for those that are skipped: how the gradient of the training loss flowed */
  gradientFlow?: GradientFlow;
}

/** When a training is over before its epochs are, see {@link FitOptions}. */
export interface EarlyStoppingOptions {
  /** after so many values in a row that are no better than the best one, at least 1; Infinity to keep the best weights and never stop */
  patience: number;
  /**
   * what is to get better, by its name in an {@link EpochRecord}: `'loss'`, `'validation.loss'`, `'validation.mae'` with a metric `mae`;
   * `'validation.loss'` unless given, without a validation `'loss'`
   */
  monitor?: string;
  /** by how much a value must be better than the best one to count; 0 unless given */
  minDelta?: number;
  /** whether small or large is good; what the metric says unless given, else `'min'` */
  mode?: 'min' | 'max';
}

/** Where and when checkpoints are written, see {@link FitOptions}. */
export interface CheckpointOptions {
  /** the newest one; tried before the first step */
  path: string;
  /** after every so many steps, and in the end; only in the end unless given */
  every?: number;
  /**
   * how many to keep, the newest one among them; 1 unless given. Those before it have a number in their names: of `run.safetensors`,
   * `run.1.safetensors` is the one before. With earlyStopping `run.best.safetensors` is the one of the best value.
   */
  keep?: number;
}

/** Options of fit. */
export interface FitOptions<Target = Tensor> {
  /** such as mseLoss or crossEntropyLoss */
  loss: (output: Tensor, target: Target, options?: LossOptions) => LossResult;
  /** over some or all of the model's parameters; others are frozen: they stay as they are, and no norm, clipping or refusal counts them */
  optimizer: Optimizer;
  /** no clipping unless given */
  clip?: Clip;
  /** 1 unless given; more need batches that can be gone through more than once */
  epochs?: number;
  /**
   * How many batches a step is made from; 1 unless given. The gradient is that of one batch of all of them, in the memory of one. Batches of one
   * step must have arrays of their own. At the end of an epoch a step is made from those that are left.
   */
  accumulate?: number;
  /**
   * The learning rates, as a function of the steps that this training has made, or with `each: 'epoch'` of its epochs; of a
   * ReduceLROnPlateau, after each epoch that has the value it monitors. Each begins with the rates that the optimiser has now.
   */
  schedule?: Schedule | ReduceLROnPlateau | { schedule: Schedule; each: 'step' | 'epoch' };
  /**
   * Batches to measure the loss and the metrics on, by `predict`, after every so many epochs and after the last one; after each unless given.
   * A loss that is not finite is treated as `nonFinite` says: an error that names the batch, or a NaN in the record.
   */
  validation?: { batches: Batches<Target>; every?: number };
  /** what to measure in validations besides the loss, by name, such as `{ mae, r2 }` */
  metrics?: Readonly<Record<string, Metric<Target>>>;
  /**
   * Ends the training when a value no longer gets better, and however it ends (by patience, at its end, by a callback, an abort or an error) gives
   * the model the weights of the best value.
   */
  earlyStopping?: EarlyStoppingOptions;
  /**
   * Keeps an exponential moving average of the weights over the steps, as torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn. It is what
   * validations measure, and what the model has in the end.
   */
  averaging?: { decay: number };
  /**
   * Called after each step; what it returns is awaited. With `false` the training ends as it does after the last step, and fit returns its
   * history: what `model.stop_training = True` does in a callback of Keras, and `trainer.should_stop = True` in one of PyTorch Lightning.
   */
  onStep?: (record: StepRecord) => unknown;
  /** Called after each epoch and its validation; awaited, and `false` ends the training, as for `onStep`. */
  onEpoch?: (record: EpochRecord) => unknown;
  /**
   * Called, once for each recurrent layer, when its states have become 10⁶ times as large as in the first step (and as 1), or larger than the root of
   * the dtype's range; unless given, the process emits the warning, `EVENKEEL_GROWING_STATES`. {@link History} has it either way.
   */
  onWarning?: (warning: TrainingWarning) => void;
  /**
   * Tells how it goes, on process.stderr or another stream: on a terminal a line that changes, and one for each epoch; in a pipe a line for each
   * epoch and every five seconds.
   */
  progress?: boolean | ProgressStream;
  /**
   * Path of an HTML file for a page of its own: loss, validation, gradient norms before and after clipping, learning rate, states and, where they are
   * recorded, growth rates. It is written when the training ends, early too, after which drawing it takes some tenths of a second. It needs the packages of
   * `@evenkeel/cli`.
   */
  page?: string;
  /**
   * ends the training at once when it is aborted, but for a step under way: while fit waits for a batch or for a callback too. Where there is a
   * checkpoint, one is written then, of the training as it was after the last whole step or epoch.
   */
  signal?: AbortSignal;
  /** what the batches, the loss or layers draw random numbers from: checkpoints hold where it is, and a refused step gives back what it drew */
  generator?: Generator;
  /** where a file is written that the training can go on from, and that {@link loadCheckpoint} reads */
  checkpoint?: CheckpointOptions;
  /**
   * Goes on from the newest checkpoint that is whole: `true` from where `checkpoint` writes, or from the start if there is none; a path from there.
   * The same call as the first time ends with the weights and the history, bit for bit, of a training that nothing interrupted. A damaged
   * checkpoint, or one of something else, is passed over with a warning.
   */
  resume?: boolean | string;
  /** records how the gradient flows back through time in every so many steps, from the first on: {@link StepRecord} and {@link History} have it; see {@link gradientFlow} */
  gradientFlow?: { every: number };
  /** what to do with a step whose loss, gradient or new weights are not finite: `'throw'` unless given */
  nonFinite?: 'throw' | 'skip';
}
