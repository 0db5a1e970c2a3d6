// Models that TF.js saved compute here what they computed there, and what is written for TF.js and Keras reads back as it was.
import { readFileSync, writeFileSync } from 'node:fs';
import type * as api from '../../lib/index';
import { evenkeelError } from '../helpers/errors';
import { compiled, difference, goldens, passesOf, unpack } from './keras-files';

const {
  Activation,
  Dropout,
  Embedding,
  fromTfjs,
  Generator,
  GRU,
  LastStep,
  LayerNorm,
  Linear,
  loadMetadata,
  loadState,
  LSTM,
  RMSNorm,
  RNN,
} = compiled;
const { Sequential, Tensor, toKeras, toTfjs } = compiled;
const generator = new Generator(4);

const folder = unpack('tfjs');
const golden = goldens('tfjs');
afterAll(folder.remove);
const names = folder.files.filter((name) => !name.startsWith('refused'));
const json = (name: string) => JSON.parse(readFileSync(folder.path(`${name}/model.json`), 'utf8'));

test('every cell with one to three layers, in one and both directions, is there', () => {
  const stacks = ['rnn-tanh', 'rnn-relu', 'lstm', 'gru'].flatMap((cell) =>
    ['1x1', '1x2', '2x1', '2x2', '3x1', '3x2'].map((places) => `${cell}-${places}`),
  );
  expect(stacks.filter((stack) => !names.some((name) => name.startsWith(stack)))).toEqual([]);
});

test.each(names)('%s', async (name) => {
  const { model, lengthsOf } = await fromTfjs(folder.path(`${name}/model.json`));
  const passes = passesOf(golden, name);
  expect(passes.length).toBeGreaterThan(0);
  for (const [index, { input, expected }] of passes.entries()) {
    const lengths = lengthsOf(input);
    expect(difference(model.predict?.(input, { lengths }) as api.Tensor, expected, lengths)).toBeLessThan(5e-6);
    if (index === 1) expect([...(lengths ?? [])]).toEqual([5, 0, 2]);
  }
});

test.each([
  ['defaults', 'recurrent_activation "sigmoid", got "hard_sigmoid". It is another function'],
  ['sum', 'merge_mode "concat", got "sum"'],
])('refuses %s by name', async (name, text) => {
  await expect(fromTfjs(folder.path(`refused-${name}/model.json`))).rejects.toThrow(evenkeelError('ERR_FILE', text));
});

test('a model in memory is asked for its config and weights', async () => {
  const { modelTopology, weightsManifest } = json('functional');
  const { model } = await fromTfjs(folder.path('functional/model.json'));
  const [{ weights }] = weightsManifest;
  const bytes = Buffer.concat(
    ['group1-shard1of2.bin', 'group1-shard2of2.bin'].map((shard) => readFileSync(folder.path(`functional/${shard}`))),
  );
  let at = 0;
  const live = weights.map(({ name, shape }: { name: string; shape: number[] }) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const data = new Float32Array(Uint8Array.from(bytes.subarray(at, at + 4 * count)).buffer);
    at += 4 * count;
    return { name, read: () => ({ shape, dtype: 'float32', data: async () => data }) };
  });
  const layers = modelTopology.config.layers.map(({ name }: { name: string }) => ({
    name,
    weights: live.filter((weight: { name: string }) => weight.name.startsWith(`${name}/`)),
  }));
  const { model: other } = await fromTfjs({ toJSON: () => modelTopology, layers });
  expect(Object.values(other.stateDict()).map(({ data }) => [...data])).toEqual(
    Object.values(model.stateDict()).map(({ data }) => [...data]),
  );
  await expect(fromTfjs({ layers } as never)).rejects.toThrow(evenkeelError('ERR_OPTION', 'a model of TF.js'));
});

describe('hostile model.json', () => {
  const changed = async (change: (model: ReturnType<typeof json>) => void) => {
    const model = json('words');
    change(model);
    writeFileSync(folder.path('words/changed.json'), JSON.stringify(model));
    return fromTfjs(folder.path('words/changed.json'));
  };

  test.each<[string, (model: ReturnType<typeof json>) => void, string]>([
    [
      'a shard of another folder',
      (model) => (model.weightsManifest[0].paths[0] = '../functional/group1-shard1of2.bin'),
      'names of files beside it',
    ],
    ['a shard of the system', (model) => (model.weightsManifest[0].paths[0] = '/etc/passwd'), 'names of files beside it'],
    ['the folder itself as a shard', (model) => (model.weightsManifest[0].paths[0] = '..'), 'names of files beside it'],
    ['a shard of another place', (model) => (model.weightsManifest[0].paths[0] = 'file:shard'), 'names of files beside it'],
    ['a shard that is missing', (model) => (model.weightsManifest[0].paths[0] = 'none.bin'), 'no such file'],
    ['a shard twice', (model) => model.weightsManifest[0].paths.push('group1-shard1of2.bin'), 'bytes in all'],
    ['a shard too few', (model) => model.weightsManifest[0].paths.pop(), 'bytes in all'],
    ['a huge shape', (model) => (model.weightsManifest[0].weights[0].shape = [2 ** 30, 2 ** 30]), 'weights of at most'],
    ['a huge shape that a file could have', (model) => (model.weightsManifest[0].weights[0].shape = [2 ** 20, 4]), 'bytes in all'],
    ['a shape of other numbers', (model) => (model.weightsManifest[0].weights[0].shape = [-7, -3]), 'a shape'],
    ['a shape that is none', (model) => (model.weightsManifest[0].weights[0].shape = [7.5, 2]), 'a shape'],
    ['another shape of as many', (model) => (model.weightsManifest[0].weights[0].shape = [3, 7]), 'shape [7, 3], got [3, 7]'],
    ['another dtype', (model) => (model.weightsManifest[0].weights[0].dtype = 'int32'), 'dtype float32'],
    ['another quantization', (model) => (model.weightsManifest[0].weights[0].quantization = { dtype: 'int4' }), 'quantization to'],
    [
      'a quantization without a scale',
      (model) => (model.weightsManifest[0].weights[0].quantization = { dtype: 'uint8', min: 0 }),
      'min and scale',
    ],
    ['a weight twice', (model) => (model.weightsManifest[0].weights[1].name = model.weightsManifest[0].weights[0].name), 'twice'],
    ['a weight of no layer', (model) => (model.weightsManifest[0].weights[1].name = 'other/kernel'), 'a weight "kernel"'],
    [
      'a weight more',
      (model) => model.weightsManifest[0].weights.push({ name: 'x/kernel', shape: [0], dtype: 'float32' }),
      'belong to layers of the model',
    ],
    ['no manifest', (model) => delete model.weightsManifest, 'a weightsManifest'],
    ['more units than weights', (model) => (model.modelTopology.config.layers[1].config.units = 2 ** 30), 'expected shape'],
    ['units of a fraction', (model) => (model.modelTopology.config.layers[1].config.units = 2.5), 'a whole number'],
    ['no layers', (model) => (model.modelTopology.config.layers = []), '1 to 10000 layers'],
    ['a layer twice', (model) => model.modelTopology.config.layers.push(model.modelTopology.config.layers[1]), 'a name of its own'],
    [
      'an option that is not known',
      (model) => (model.modelTopology.config.layers[1].config.peephole = true),
      'options that are known here, got "peephole": true',
    ],
    ['a layer that is a number', (model) => (model.modelTopology.config.layers[1] = 3), 'a layer with class_name'],
    ['a graph', (model) => (model.format = 'graph-model'), 'a layers-model, got a graph-model'],
  ])('%s', async (_, change, text) => {
    await expect(changed(change)).rejects.toThrow(evenkeelError('ERR_FILE', text));
  });

  test('as it was, it is read', async () => {
    expect((await changed(() => {})).model.parameters().length).toBeGreaterThan(0);
  });
});

const exported: [string, () => api.Layer, number[] | 'symbols'][] = [
  ['rnn', () => new RNN({ inputSize: 3, hiddenSize: 4, nonlinearity: 'relu', numLayers: 2, generator }), [2, 5, 3]],
  ['lstm', () => new LSTM({ inputSize: 3, hiddenSize: 4, numLayers: 2, bidirectional: true, dropout: 0.5, generator }), [2, 5, 3]],
  [
    'lstm-last',
    () => new Sequential({ lstm: new LSTM({ inputSize: 3, hiddenSize: 4, bias: false, generator }), last: new LastStep() }),
    [2, 5, 3],
  ],
  [
    'gru',
    () => new GRU({ inputSize: 3, hiddenSize: 4, resetAfter: false, bidirectional: true, returnSequences: false, generator }),
    [2, 5, 3],
  ],
  [
    'classifier',
    () =>
      new Sequential([
        new Embedding({ vocabularySize: 7, embeddingSize: 3, generator }),
        new LSTM({ inputSize: 3, hiddenSize: 4, generator }),
        new LayerNorm({ size: 4 }),
        new Sequential({ first: new Linear({ inputSize: 4, outputSize: 5, generator }), relu: new Activation({ kind: 'relu' }) }),
        new GRU({ inputSize: 5, hiddenSize: 3, resetAfter: false, generator }),
        new LastStep(),
        new Dropout(),
        new LayerNorm({ size: 3, affine: false, eps: 0.5 }),
        new Linear({ inputSize: 3, outputSize: 2, bias: false, generator }),
        new Activation({ kind: 'softmax' }),
      ]),
    'symbols',
  ],
];
const inputOf = (shape: number[] | 'symbols') =>
  shape === 'symbols' ? Tensor.from([[1, 2, 6, 3], [4, 4, 1, 5]]) : Tensor.randn(shape, { generator }); // biome-ignore format: rows

describe('what is written for TF.js', () => {
  test.each(exported)('reads back: %s', async (name, make, shape) => {
    const model = make();
    toTfjs(model, folder.path(`to-${name}`), { maskValue: 0 });
    const { model: back, lengthsOf } = await fromTfjs(folder.path(`to-${name}/model.json`));
    const x = inputOf(shape);
    expect([...(lengthsOf(x) as Int32Array)]).toEqual(Array.from({ length: 2 }, () => x.shape[1]));
    expect(difference(back.predict?.(x) as api.Tensor, model.predict?.(x) as api.Tensor, undefined)).toBeLessThan(5e-6);
  });

  test.each<[string, () => api.Layer, string]>([
    ['a GRU that resets after the product', () => new GRU({ inputSize: 3, hiddenSize: 4 }), 'resetAfter false, got true'],
    ['a norm within the step', () => new RNN({ inputSize: 3, hiddenSize: 4, normalization: 'hidden' }), 'normalization'],
    ['a norm of the cell state', () => new LSTM({ inputSize: 3, hiddenSize: 4, cellNormalization: 'output' }), 'cellNormalization'],
    ['a projection', () => new LSTM({ inputSize: 3, hiddenSize: 4, projSize: 2 }), 'projSize'],
    ['zoneout', () => new LSTM({ inputSize: 3, hiddenSize: 4, zoneout: 0.1 }), 'zoneout 0, got 0.1'],
    ['a stateful layer', () => new RNN({ inputSize: 3, hiddenSize: 4, stateful: true }), 'stateful false'],
    ['RMSNorm', () => new RMSNorm({ size: 3 }), 'a layer that TF.js has'],
    [
      'a last step of both directions',
      () => new Sequential([new RNN({ inputSize: 3, hiddenSize: 4, bidirectional: true }), new LastStep()]),
      'in one direction',
    ],
  ])('refuses %s by name', (_, make, text) => {
    expect(() => toTfjs(make(), folder.path('none'))).toThrow(evenkeelError('ERR_OPTION', text));
  });

  test('symbols are masked by 0 alone', () => {
    const model = new Embedding({ vocabularySize: 3, embeddingSize: 2 });
    expect(() => toTfjs(model, folder.path('none'), { maskValue: 1 })).toThrow(evenkeelError('ERR_OPTION', 'maskValue: expected 0'));
  });
});

describe('what is written for Keras', () => {
  test('no mask where an RMSNorm would drop it before a recurrent layer', () => {
    const first = (returnSequences: boolean) => new LSTM({ inputSize: 3, hiddenSize: 3, returnSequences });
    const norm = new RMSNorm({ size: 3 });
    const path = folder.path('dropped.safetensors');
    const dropped = new Sequential({ first: first(true), norm, second: new GRU({ inputSize: 3, hiddenSize: 4 }) });
    expect(() => toKeras(dropped, path, { maskValue: 0 })).toThrow(
      evenkeelError('ERR_OPTION', 'maskValue: expected no RMSNorm before a recurrent layer, which second is, got "norm"'),
    );
    toKeras(dropped, path);
    // Nothing behind it is to know of lengths.
    toKeras(new Sequential({ first: first(true), norm }), path, { maskValue: 0 });
    toKeras(new Sequential({ first: first(false), norm }), path, { maskValue: 0 });
  });

  test.each(exported)('%s: its weights and configs', (name, make) => {
    const model = make();
    const path = folder.path(`${name}.safetensors`);
    toKeras(model, path);
    const { keras, 'keras.loader': loader } = loadMetadata(path);
    const { layers, weights, input_shape: shape } = JSON.parse(keras as string);
    expect(Object.keys(loadState(path)).sort()).toEqual([...weights].sort());
    expect(layers.length).toBeGreaterThan(0);
    expect(shape).toEqual(name === 'classifier' ? [null, null] : [null, null, 3]);
    expect(loader).toContain('model.set_weights');
  });
});
