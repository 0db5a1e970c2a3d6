// The training that scripts/kill-training.mjs kills: all that has a state takes part.
//   node scripts/kill-training/train.mjs FOLDER [EPOCHS]    goes on from the checkpoint in the folder, if there is one
import { join } from 'node:path';
import {
  AdamW,
  AutoClip,
  CosineAnnealingLR,
  Dropout,
  fit,
  Generator,
  GRU,
  LastStep,
  LayerNorm,
  Linear,
  LinearLR,
  makeBatches,
  mseLoss,
  Sequential,
  SequentialLR,
  saveState,
  Tensor,
} from '../../dist/index.js';

const [folder, epochs = '12'] = process.argv.slice(2);
const data = new Generator(1);
const generator = new Generator(2);
const inputs = Tensor.randn([90, 12, 3], { generator: data });
const targets = Tensor.randn([90, 1], { generator: data });
const model = new Sequential({
  gru: new GRU({ inputSize: 3, hiddenSize: 24, recurrentDropout: 0.2, zoneout: 0.1, generator }),
  ln: new LayerNorm({ size: 24 }),
  dropout: new Dropout({ p: 0.3, generator }),
  last: new LastStep(),
  head: new Linear({ inputSize: 24, outputSize: 1, generator }),
});
const isHead = ({ name }) => name.startsWith('head.');
const optimizer = new AdamW(
  [
    { parameters: model.parameters().filter((parameter) => !isHead(parameter)) },
    { parameters: model.parameters().filter(isHead), learningRate: 0.02, weightDecay: 0 },
  ],
  { learningRate: 0.01 },
);
await fit(model, makeBatches(inputs, targets, { batchSize: 5, generator }), {
  loss: mseLoss,
  optimizer,
  generator,
  epochs: Number(epochs),
  accumulate: 2,
  clip: new AutoClip({ percentile: 50 }),
  schedule: new SequentialLR([new LinearLR({ totalIters: 10 }), new CosineAnnealingLR({ tMax: 9 * Number(epochs) })], [10]),
  averaging: { decay: 0.95 },
  validation: { batches: makeBatches(inputs, targets, { batchSize: 30, generator: new Generator(3) }) },
  metrics: { absolute: (output, target) => Math.abs(output.data[0] - target.data[0]) },
  earlyStopping: { patience: Number.POSITIVE_INFINITY, minDelta: 0.001 },
  gradientFlow: { every: 25 },
  checkpoint: { path: join(folder, 'run.safetensors'), every: 2, keep: 3 },
  resume: true,
});
saveState(join(folder, 'weights.safetensors'), model.stateDict());
