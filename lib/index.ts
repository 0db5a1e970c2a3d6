export { AdaptiveGradientClipping, type AdaptiveGradientClippingOptions } from './clipping/adaptive-gradient-clipping';
export { AutoClip, type AutoClipOptions } from './clipping/auto-clip';
export { type ClipGradNormOptions, clipGradNorm } from './clipping/clip-grad-norm';
export { type ClipGradValueOptions, clipGradValue } from './clipping/clip-grad-value';
export type { Clipper, ClipResult } from './clipping/clipper';
export { ZClip, type ZClipOptions } from './clipping/zclip';
export { type AddingProblemOptions, addingProblem } from './data/adding-problem';
export { type BatchOptions, type MadeBatch, type MadeBatches, makeBatches } from './data/batches';
export { type CopyMemoryOptions, copyMemory } from './data/copy-memory';
export { type ReadSeriesOptions, readSeries, readSeriesAsync, type SeriesFile, type SeriesFormat } from './data/csv';
export type { DecimalMark } from './data/csv-cells';
export { type PaddedSequences, type PadSequencesOptions, padSequences } from './data/pad-sequences';
export { type Moments, Scaler, type ScalerState } from './data/scaler';
export type { RowRange, SequenceRange, Series } from './data/series';
export { type SeriesSplit, type Split, type SplitOptions, splitInTime, splitSeries } from './data/split';
export type { Task } from './data/task';
export type { TimeStyle } from './data/times';
export {
  type LatestWindows,
  latestWindows,
  makeWindows,
  type StandardizedSeries,
  standardize,
  type WindowOptions,
  type Windows,
} from './data/windows';
export { type ErrorCode, EvenkeelError } from './errors';
export type { Initializer, InitializerOptions } from './initializers';
export type { ImportedModel, ImportOptions } from './interop/keras/build';
export type { ExportOptions } from './interop/keras/export';
export { type FromKerasOptions, fromKeras } from './interop/keras/from-keras';
export { toKeras } from './interop/keras/to-keras';
export { type FromOnnxOptions, fromOnnx } from './interop/onnx/from-onnx';
export { type ToOnnxOptions, toOnnx } from './interop/onnx/to-onnx';
export { type FromPyTorchOptions, fromPyTorch, type PyTorchModule } from './interop/pytorch/from-pytorch';
export type { PyTorchModuleType } from './interop/pytorch/modules';
export { toPyTorch } from './interop/pytorch/to-pytorch';
export { fromTfjs, type TfjsModel, type TfjsTensor, type TfjsVariable } from './interop/tfjs/from-tfjs';
export { toTfjs } from './interop/tfjs/to-tfjs';
export { type LoadStateOptions, loadMetadata, loadState, type SaveStateOptions, saveState } from './io/safetensors';
export { Activation, type ActivationKind, type ActivationOptions } from './layers/activation';
export { Dropout, type DropoutOptions } from './layers/dropout';
export { Embedding, type EmbeddingOptions } from './layers/embedding';
export { GRU, type GRUBackwardOptions, type GRUOptions } from './layers/gru';
export { LastStep } from './layers/last-step';
export {
  type BackwardOptions,
  BaseLayer,
  type CallKind,
  type CheckedInput,
  type Computed,
  type ForwardOptions,
  type Layer,
  type Pass,
  type PredictOptions,
} from './layers/layer';
export { LayerNorm, type LayerNormOptions } from './layers/layer-norm';
export { Linear, type LinearOptions } from './layers/linear';
export {
  type CellNormalization,
  type CellNormalizationOptions,
  LSTM,
  type LSTMBackwardOptions,
  type LSTMForwardOptions,
  type LSTMOptions,
  type LSTMState,
} from './layers/lstm';
export type { Checkpointing } from './layers/recurrent/checkpointing';
export type { Zoneout } from './layers/recurrent/masks';
export type { NormalizationOptions, Placement } from './layers/recurrent/normalization';
export type { RecurrentBackwardOptions, RecurrentForwardOptions, RecurrentOptions } from './layers/recurrent/options';
export type { RecurrentLayer } from './layers/recurrent/recurrent-layer';
export { RMSNorm, type RMSNormOptions } from './layers/rms-norm';
export { type Nonlinearity, RNN, type RNNBackwardOptions, type RNNOptions } from './layers/rnn';
export { Sequential } from './layers/sequential';
export type { Summary, SummaryOptions, SummaryRow } from './layers/summary';
export type { Lengths } from './lengths';
export { CsvLog, type CsvLogOptions } from './logs/csv-log';
export { TensorBoardLog, type TensorBoardLogOptions } from './logs/tensorboard-log';
export { type BceWithLogitsLossOptions, bceWithLogitsLoss } from './losses/bce-with-logits';
export { type CrossEntropyLossOptions, crossEntropyLoss, type Labels } from './losses/cross-entropy';
export { type HuberLossOptions, huberLoss } from './losses/huber';
export { l1Loss } from './losses/l1';
export type { LossOptions, LossResult } from './losses/loss';
export { mseLoss } from './losses/mse';
export { accuracy, type Classes, f1, perplexity } from './metrics/classification';
export type { Metric, MetricAccumulator, MetricOptions } from './metrics/metric';
export { type MaseOptions, mae, mape, mase, r2, rmse, smape } from './metrics/regression';
export { type LayerClass, registerLayer } from './model/layer-classes';
export { loadModel, type SaveModelOptions, saveModel } from './model/model-file';
export { Predictor, type PredictorHandle, type RunOptions } from './model/predictor';
export type { Stream } from './model/stream';
export { Adam, type AdamOptions, AdamW } from './optimizers/adam';
export type { GroupOfParameters, ParameterGroup } from './optimizers/groups';
export { Optimizer, type OptimizerArrays, type OptimizerGroup } from './optimizers/optimizer';
export { RMSprop, type RMSpropOptions } from './optimizers/rmsprop';
export { CosineAnnealingLR, type CosineAnnealingLROptions } from './optimizers/schedules/cosine-annealing-lr';
export { LinearLR, type LinearLROptions } from './optimizers/schedules/linear-lr';
export { OneCycleLR, type OneCycleLROptions } from './optimizers/schedules/one-cycle-lr';
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from './optimizers/schedules/reduce-lr-on-plateau';
export type { Schedule } from './optimizers/schedules/schedule';
export { SequentialLR } from './optimizers/schedules/sequential-lr';
export { StepLR, type StepLROptions } from './optimizers/schedules/step-lr';
export { SGD, type SGDOptions } from './optimizers/sgd';
export { Parameter } from './parameter';
export { Generator } from './random';
export { getNumThreads, type RuntimeInfo, runtimeInfo, setNumThreads } from './runtime';
export { type FlossingOptions, type FlossingResult, flossing } from './stability/flossing';
export type { GradientFlow, Growth, LayerFlow, PartFlow, Verdict } from './stability/flow';
export { type GradientFlowOptions, gradientFlow } from './stability/gradient-flow';
export { type LyapunovOptions, type LyapunovSpectrum, lyapunovExponents, lyapunovSpectrum } from './stability/lyapunov';
export type { StateDict } from './state-dict';
export type { SweepClip, SweepDefinition } from './sweep/definition';
export { type BullmqExecutorOptions, bullmqExecutor } from './sweep/executors/bullmq';
export type { Executor, Outcome, SweepWork, TrialJob, TrialLimits } from './sweep/executors/executor';
export { type LocalExecutorOptions, localExecutor } from './sweep/executors/local';
export type { Cost, CpuKind, Measures, TrialResult } from './sweep/measures';
export type { TrialRecord } from './sweep/store';
export { type SweepOptions, type SweepResult, sweep } from './sweep/sweep';
export type { CsvTask, TaskName } from './sweep/tasks';
export type { SweepPlacement, Trial, TrialClip, TrialTask } from './sweep/trial';
export { type DType, type NestedNumbers, Tensor, type TensorData } from './tensor';
export { loadCheckpoint, saveCheckpoint, type Trained } from './training/checkpoint';
export type { Clip } from './training/clip-rule';
export { type FindLearningRateOptions, findLearningRate, type LearningRateRange } from './training/find-learning-rate';
export { fit } from './training/fit';
export type { Batch, Batches, CheckpointOptions, EarlyStoppingOptions, FitOptions, StepRecord } from './training/options';
export type { CarriesState } from './training/parts';
export type { ProgressStream } from './training/progress-lines';
export type { BestRecord, EndReason, EpochRecord, History } from './training/records';
export type { TrainingWarning } from './training/state-watch';
export { Workspace } from './workspace';
