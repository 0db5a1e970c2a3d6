import type { GradientFlow } from '../stability/flow';
import type { TrainingWarning } from './state-watch';

/** What one step of fit came to. */
export interface StepResult {
  loss: number;
  gradNorm: number;
  /** in the order of the trained parameters */
  gradNorms: readonly number[];
  clippedGradNorm: number;
  clipThreshold: number;
  clipped: boolean;
  skipped: boolean;
  learningRate: number;
  flow?: GradientFlow;
}

/** What an epoch came to. */
export interface EpochRecord {
  /** from 1 */
  epoch: number;
  /** the last one made, counted as in `onStep` */
  step: number;
  /** the mean of the losses of the epoch's steps, but for those that were skipped; NaN where all were */
  loss: number;
  /** the optimiser's, after the last step */
  learningRate: number;
  /** in epochs after which there was a validation: the loss over all of its batches, and each metric by its name */
  validation?: Record<string, number>;
}

/** Where the monitored value was best. */
export interface BestRecord {
  epoch: number;
  step: number;
  /** of what `earlyStopping` monitors */
  value: number;
}

/** Why a training ended: all epochs are done, `earlyStopping` lost patience, or a callback returned `false`. */
export type EndReason = 'epochs' | 'patience' | 'callback';

/** What happened: of each step one entry in each list, and one record per epoch. */
export interface History {
  loss: number[];
  /** the 2-norm of all gradients that are trained by, before clipping; NaN where the loss was not finite */
  gradNorm: number[];
  /** the same after clipping; NaN in a skipped step */
  clippedGradNorm: number[];
  /** the norm, or with `clipValue` the magnitude, above which clipping acted; infinite without clipping, NaN in a skipped step */
  clipThreshold: number[];
  /** whether clipping changed the gradients */
  clipped: boolean[];
  /** whether the step was skipped because its loss, its gradients or what it made of the weights was not finite */
  skipped: boolean[];
  /** the optimiser's; a group may have its own */
  learningRate: number[];
  /**
   * the largest magnitude in the states of the model's recurrent layers at the ends of the sequences, h_T, of an LSTM c_T too; NaN in a model without such
   * layers
   */
  largestState: number[];
  /** of layers whose states grow, see `onWarning` in {@link FitOptions}; at most one for each */
  warnings: TrainingWarning[];
  /** with the option `gradientFlow`, how the gradient of the training loss flowed in the steps that were recorded and not skipped */
  gradientFlow?: (GradientFlow & { step: number })[];
  /** one record for each epoch that was not cut short */
  epochs: EpochRecord[];
  /** with `earlyStopping`, once there is a best */
  best?: BestRecord;
  /** undefined until it ends */
  end?: EndReason;
}
