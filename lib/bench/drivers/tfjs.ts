/**
 * TF.js on its three backends for CPUs, in three ways of expressing the work:
 * - `layers`: tf.layers' SimpleRNN and LayerNormalization under tf.variableGrads, as its documents teach;
 * - `autodiff`: a loop of tf operations under tf.variableGrads;
 * - `manual`: the same loop with a hand-written gradient.
 * TF.js has no clipping of the norm, so each clips by hand. The last two keep their data with time first, so that a step is one contiguous
 * piece: that is the faster way, and a user may choose it.
 *
 *     node tfjs.js cpu|wasm|node
 */
import { checkOneOf } from '../../check';
import { loadState } from '../../io/safetensors';
import type { StateDict } from '../../state-dict';
import type { StartMessage, Trial } from '../protocol';
import { gatedTask } from '../works';
import { type Started, serve } from './serve';
import { autodiffLayerNorm, autodiffModel } from './tfjs/autodiff';
import { BACKENDS, type Backend, loadBackend } from './tfjs/backend';
import { autodiffGated, layersGated } from './tfjs/gated';
import { manualGated } from './tfjs/gated-manual';
import { layersLayerNorm, layersModel } from './tfjs/layers';
import { manualLayerNorm, manualModel } from './tfjs/manual';
import type { Model, Tf } from './tfjs/tf';
import { measure, worksOn } from './tfjs/works';

const TIERS = ['layers', 'autodiff', 'manual'] as const;
type Tier = (typeof TIERS)[number];

type RecurrentModel = (tf: Tf, trial: Trial, state: StateDict) => Model;

const models: Record<Tier, { recurrent: RecurrentModel; layerNorm: (tf: Tf, state: StateDict) => Model }> = {
  layers: { recurrent: layersModel, layerNorm: layersLayerNorm },
  autodiff: { recurrent: autodiffModel, layerNorm: autodiffLayerNorm },
  manual: { recurrent: manualModel, layerNorm: manualLayerNorm },
};

const gatedModels = { layers: layersGated, autodiff: autodiffGated, manual: manualGated };

/** Loads a backend and answers as the protocol says. */
export async function startTfjs(backend: Backend, { trial, threads, tier, dataFile }: StartMessage): Promise<Started> {
  const checkedTier = checkOneOf('tier', tier, TIERS);
  const { tf, system } = await loadBackend(backend, threads);
  const baseBytes = process.memoryUsage.rss();
  const state = loadState(dataFile);
  const model = makeModel(tf, trial, checkedTier, state);
  const works = worksOn(tf, model);
  const runOnce = works[trial.work];
  return {
    system,
    baseBytes,
    runOnce,
    measure(first) {
      // The first call may have moved the weights.
      works.restart();
      const numbers = measure(tf, model, trial.work);
      // Under Adam two equal biases move by two steps and one bias by one: after a step a model with one bias differs rightly.
      if (first || numbers.clippedNorm === undefined || model.doubled !== undefined) return numbers;
      runOnce();
      const { loss, norm } = measure(tf, model, trial.work);
      return { ...numbers, nextLoss: loss, nextNorm: norm };
    },
  };
}

function makeModel(tf: Tf, trial: Trial, tier: Tier, state: StateDict): Model {
  const task = gatedTask(trial.work);
  if (task !== undefined) return gatedModels[tier](tf, trial, task, state);
  const { recurrent, layerNorm } = models[tier];
  return trial.work === 'layer-norm' ? layerNorm(tf, state) : recurrent(tf, trial, state);
}

if (require.main === module) {
  serve((message) => startTfjs(checkOneOf('backend', process.argv[2], BACKENDS), message));
}
