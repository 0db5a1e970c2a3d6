/** What a trial trains: its layers, and how it clips. */
import { AdaptiveGradientClipping } from '../clipping/adaptive-gradient-clipping';
import { AutoClip } from '../clipping/auto-clip';
import { ZClip } from '../clipping/zclip';
import { GRU } from '../layers/gru';
import type { Layer } from '../layers/layer';
import { LayerNorm } from '../layers/layer-norm';
import { LSTM } from '../layers/lstm';
import type { RecurrentOptions } from '../layers/recurrent/options';
import { RMSNorm } from '../layers/rms-norm';
import { RNN } from '../layers/rnn';
import { Sequential } from '../layers/sequential';
import type { Generator } from '../random';
import type { Clip } from '../training/clip-rule';
import type { TaskSetUp } from './tasks';
import type { Trial, TrialClip } from './trial';

export interface TrialModel {
  model: Sequential;
  rnn: RNN | LSTM | GRU;
  /** what the input passes on its way to the RNN */
  before: Layer | undefined;
}

export function buildModel(trial: Trial, task: TaskSetUp, generator: Generator): TrialModel {
  const { inputSize, hiddenSize, placement, kind, initializer, gain, inputInitializer, inputGain, clip, dtype } = trial;
  const isOutside = placement === 'input' || placement === 'output';
  const rnn = makeRecurrent(trial, {
    inputSize,
    hiddenSize,
    normalization: isOutside || placement === 'none' ? 'none' : { placement, kind },
    recurrentInitializer: { name: initializer, gain },
    ...(inputInitializer === undefined ? {} : { inputInitializer: { name: inputInitializer, gain: inputGain } }),
    returnSequences: task.everyStep,
    dtype,
    generator,
    ...(clip.rule === 'state' ? { stateGradientLimit: clip.stateGradientLimit } : {}),
  });
  const norm = (size: number): Layer => (kind === 'rms' ? new RMSNorm({ size, dtype }) : new LayerNorm({ size, dtype }));
  const before = placement === 'input' ? norm(inputSize) : undefined;
  const model = new Sequential({
    ...(before === undefined ? {} : { norm: before }),
    rnn,
    ...(placement === 'output' ? { norm: norm(hiddenSize) } : {}),
    ...task.head(generator),
  });
  return { model, rnn, before };
}

function makeRecurrent({ cell, nonlinearity }: Trial, options: RecurrentOptions): TrialModel['rnn'] {
  switch (cell) {
    case 'rnn':
      return new RNN({ ...options, nonlinearity });
    case 'lstm':
      return new LSTM(options);
    case 'gru':
      return new GRU(options);
  }
}

/** For fit; a limit on the state's gradient is the RNN's own. */
export function clipOf(clip: TrialClip): Clip | undefined {
  switch (clip.rule) {
    case 'norm':
      return { maxNorm: clip.maxNorm };
    case 'value':
      return { clipValue: clip.clipValue };
    case 'adaptive':
      return new AdaptiveGradientClipping();
    case 'autoclip':
      return new AutoClip();
    case 'zclip':
      return new ZClip();
    default:
      return undefined;
  }
}
