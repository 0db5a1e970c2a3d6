import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Activation,
  Dropout,
  Embedding,
  fromPyTorch,
  Generator,
  GRU,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  LSTM,
  loadMetadata,
  RMSNorm,
  RNN,
  Sequential,
  saveState,
  Tensor,
  toPyTorch,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';
import { folder } from '../io/safetensors-files';

const path = join(folder, 'to.safetensors');
const generator = () => new Generator(1);
const sizes = () => ({ inputSize: 3, hiddenSize: 4, generator: generator() });

const models: [string, () => Layer, string][] = [
  [
    'rnn',
    () => new RNN({ ...sizes(), nonlinearity: 'relu', bias: false, returnSequences: false }),
    'nn.RNN(3, 4, num_layers=1, nonlinearity="relu", bias=False, batch_first=True, dropout=0, bidirectional=False)',
  ],
  [
    'lstm',
    () => new LSTM({ ...sizes(), numLayers: 2, bidirectional: true, projSize: 2, dropout: 0.25, dtype: 'float64' }),
    'nn.LSTM(3, 4, num_layers=2, proj_size=2, bias=True, batch_first=True, dropout=0.25, bidirectional=True).double()',
  ],
  [
    'sequential',
    () =>
      new Sequential({
        inner: new Sequential([new LayerNorm({ size: 3, eps: 0.25 }), new Dropout({ p: 0.5 }), new GRU(sizes()), new LastStep()]),
        norm: new RMSNorm({ size: 4, affine: false }),
        act: new Activation({ kind: 'softmax' }),
        head: new Linear({ inputSize: 4, outputSize: 1 }),
      }),
    'nn.ModuleDict({"inner": nn.ModuleList([nn.LayerNorm(3, eps=0.25, elementwise_affine=True), nn.Dropout(0.5), nn.GRU(3, 4, num_layers=1, ' +
      'bias=True, batch_first=True, dropout=0, bidirectional=False), nn.Identity()]), "norm": nn.RMSNorm(4, eps=1.1920928955078125e-7, ' +
      'elementwise_affine=False), "act": nn.Softmax(-1), "head": nn.Linear(4, 1, bias=True)})',
  ],
];

test.each(models)('%s comes back as it was, and says how Python loads it', (name, make, python) => {
  const model = make();
  const lines = toPyTorch(model, path);
  expect(lines.split('\n').slice(1)).toEqual([
    'from safetensors.torch import load_file',
    `model = ${python}`,
    `model.load_state_dict(load_file(${JSON.stringify(path)}))`,
  ]);
  expect(loadMetadata(path)).toMatchObject({ format: 'pt', python: lines.replace(folder, '').replace('"/', '"') });
  const back = fromPyTorch(path);
  const dtype = model.parameters()[0]?.value.dtype as 'float32';
  const x = Tensor.randn([2, 5, 3], { generator: generator(), dtype });
  expect(back.predict?.(x).toArray()).toEqual(model.predict?.(x).toArray());
  expect(Object.keys(back.stateDict())).toEqual(Object.keys(model.stateDict()));
  keep(name, x, model.predict?.(x) as Tensor);
});

/** With EVENKEEL_TORCH_OUT the files stay in that folder, with inputs and outputs, for fixtures/check_torch.py. */
function keep(name: string, input: Tensor, output: Tensor): void {
  const out = process.env.EVENKEEL_TORCH_OUT;
  if (out === undefined) return;
  copyFileSync(path, join(out, `${name}.safetensors`));
  saveState(join(out, `${name}-data.safetensors`), { input, output });
}

test('symbols come back too', () => {
  const model = new Sequential([new Embedding({ vocabularySize: 5, embeddingSize: 3, paddingIndex: 2 }), new GRU(sizes())]);
  expect(toPyTorch(model, path)).toContain('nn.Embedding(5, 3, padding_idx=2)');
  const back = fromPyTorch(path) as Sequential;
  expect((back.layers[0] as Embedding).paddingIndex).toBe(2);
  const x = Tensor.from([[1, 2, 4]]);
  expect(back.forward(x).toArray()).toEqual(model.forward(x).toArray());
});

class Own extends Linear {}

test.each<[string, () => Layer, string]>([
  [
    'a normalisation in the recurrence',
    () => new RNN({ ...sizes(), normalization: 'hidden' }),
    'model.normalization: expected "none", since PyTorch has no RNN',
  ],
  ['one of the cell state', () => new LSTM({ ...sizes(), cellNormalization: 'output' }), 'model.cellNormalization: expected "none"'],
  ['zoneout', () => new LSTM({ ...sizes(), zoneout: { hidden: 0.1 } }), 'model.zoneout: expected 0'],
  [
    'a reset before the product',
    () => new Sequential({ a: new GRU({ ...sizes(), resetAfter: false }) }),
    'model.a.resetAfter: expected true',
  ],
  ['a class of one’s own', () => new Own({ inputSize: 1, outputSize: 1 }), 'model: expected a layer of this package'],
])('%s is refused by name', (_, make, message) => {
  expectRefused(() => toPyTorch(make(), path), 'ERR_OPTION', message);
});
