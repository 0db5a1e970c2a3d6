// Models that Keras 3 and Keras 2 saved compute here what they computed there.
import { readFileSync, writeFileSync } from 'node:fs';
import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import type * as api from '../../lib/index';
import { evenkeelError } from '../helpers/errors';
import { asDType, compiled, difference, goldens, passesOf, unpack } from './keras-files';

const { Activation, Dropout, Embedding, fromKeras, GRU, LayerNorm, Linear, LSTM, Sequential, Tensor } = compiled;
type FromKerasOptions = api.FromKerasOptions;

/** Weights alone: the models that they are for. */
const models: Record<string, () => api.Layer> = {
  words: () => makeWords(),
  'words-functional': () => makeWords(),
  trained: () =>
    new Sequential([new LSTM({ inputSize: 3, hiddenSize: 4, returnSequences: false }), new Linear({ inputSize: 4, outputSize: 1 })]),
};
const makeClassifier = () =>
  new Sequential({
    both: new LSTM({ inputSize: 3, hiddenSize: 4, bidirectional: true }),
    each: new Linear({ inputSize: 8, outputSize: 3 }),
    relu: new Activation({ kind: 'relu' }),
    norm: new LayerNorm({ size: 3, eps: 1e-2 }),
    second: new GRU({ inputSize: 3, hiddenSize: 4, returnSequences: false }),
    dropout: new Dropout(),
    hidden: new Linear({ inputSize: 4, outputSize: 3 }),
    tanh: new Activation({ kind: 'tanh' }),
    classes: new Linear({ inputSize: 3, outputSize: 2 }),
    softmax: new Activation({ kind: 'softmax' }),
  });
const makeWords = () =>
  new Sequential([
    new Embedding({ vocabularySize: 7, embeddingSize: 3 }),
    new LSTM({ inputSize: 3, hiddenSize: 4, returnSequences: false }),
    new Linear({ inputSize: 4, outputSize: 1 }),
    new Activation({ kind: 'sigmoid' }),
  ]);
/** Of lengths that a mask would tell. */
const LENGTHS = Int32Array.of(5, 0, 2);

describe.each(['keras3', 'keras2'])('%s', (version) => {
  const folder = unpack(version);
  const golden = goldens(version);
  afterAll(folder.remove);
  // By their weights alone, those of a TimeDistributed belong to no layer here.
  const isRefused = (file: string) => file.startsWith('refused') || (isWeights(file) && /^(?:classifier|functional)/.test(file));
  const isWeights = (file: string) => /\.(?:weights|w)\.h5$/.test(file);
  const files = folder.files.filter((file) => !isRefused(file));
  const nameOf = (file: string) => file.replace(/(?:\.weights|\.w)?\.(?:h5|keras)$/, '');

  test('has every cell with one to three layers, in one and both directions', () => {
    for (const cell of ['rnn-tanh', 'rnn-relu', 'lstm', 'gru', 'gru-before']) {
      for (const places of ['1x1', '1x2', '2x1', '2x2', '3x1', '3x2']) {
        expect(files.filter((file) => file.startsWith(`${cell}-${places}`))).toHaveLength(1);
      }
    }
  });

  test.each(files)('%s', async (file) => {
    const name = nameOf(file);
    const given: FromKerasOptions = isWeights(file) ? { model: models[name]?.() } : {};
    const { model, lengthsOf } = await fromKeras(folder.path(file), given);
    const passes = passesOf(golden, name);
    expect(passes.length).toBeGreaterThan(0);
    const [parameter] = model.parameters();
    for (const [index, { input, expected }] of passes.entries()) {
      const x = asDType(input, parameter?.value.dtype ?? 'float32');
      const lengths = isWeights(file) && index === 1 ? LENGTHS : lengthsOf(x);
      // A stateful layer goes on.
      const output = model.forward(x, { lengths, training: false });
      expect(difference(output, expected, lengths)).toBeLessThan(parameter?.value.dtype === 'float64' ? 1e-7 : 1e-6);
      if (index === 1 && name !== 'stateful') expect([...(lengths ?? [])]).toEqual([...LENGTHS]);
    }
  });

  test.each([
    ['hard-sigmoid', 'recurrent_activation "sigmoid", got "hard_sigmoid". It is another function'],
    ['sum', 'merge_mode "concat", got "sum"'],
    ['backwards', 'go_backwards false, got true'],
    ['relu-lstm', 'activation "tanh", got "relu"'],
    ['convolution', 'one of the layers Masking, Embedding'],
    ['second-mask', 'to be the first layer, got another before it'],
    ['time-axis', 'axis -1, the last one, got [1]'],
    ['branches', 'Models whose layers form a chain'],
    ['state', 'Models whose layers form a chain'],
  ])('refuses %s by name', async (name, text) => {
    await expect(fromKeras(folder.path(`refused-${name}.keras`))).rejects.toThrow(evenkeelError('ERR_FILE', text));
  });

  test('says what stays behind', async () => {
    const { notes } = await fromKeras(folder.path('trained.h5'));
    expect(notes).toEqual([
      expect.stringMatching(/^lstm\w*: kernel_regularizer count in training alone and stay behind\.$/),
      "The optimiser's state stays behind.",
    ]);
    const { notes: others } = await fromKeras(folder.path('classifier.keras'));
    expect(others).toEqual([expect.stringContaining('dropout 0.1 of its input, with one mask for all steps')]);
  });

  test('keeps the names, and the dropout that is the same here', async () => {
    const { model } = await fromKeras(folder.path('classifier.keras'));
    const { layers } = model as api.Sequential;
    expect(Object.keys(layers)).toContain('both_ways');
    expect(layers.both_ways?.options?.recurrentDropout).toBe(0.2);
    expect((layers.dropout as api.Dropout | undefined)?.p ?? Object.values(layers).find((layer) => layer instanceof Dropout)).toBeTruthy();
  });

  test('gives logits where they are asked for', async () => {
    const [{ input, expected }] = passesOf(golden, 'words') as [{ input: api.Tensor; expected: api.Tensor }];
    const { model } = await fromKeras(folder.path('words.keras'), { logits: true });
    const logits = model.predict?.(input) as api.Tensor;
    expect([...logits.data].map((value) => 1 / (1 + Math.exp(-value)))).toEqual(
      [...expected.data].map((value) => expect.closeTo(value, 5)),
    );
    await expect(fromKeras(folder.path('symbols.keras'), { logits: true })).rejects.toThrow(evenkeelError('ERR_OPTION', 'logits'));
  });

  test('converts to the dtype that is asked for', async () => {
    const { model } = await fromKeras(folder.path('words.h5'), { dtype: 'float64' });
    expect(new Set(model.parameters().map(({ value }) => value.dtype))).toEqual(new Set(['float64']));
  });

  test('weights alone want a model, of the same layers', async () => {
    await expect(fromKeras(folder.path('words.weights.h5'))).rejects.toThrow(
      evenkeelError('ERR_FILE', 'Give a model with the same layers'),
    );
    await expect(fromKeras(folder.path('classifier.weights.h5'), { model: makeClassifier() })).rejects.toThrow(
      evenkeelError('ERR_FILE', 'classifier.weights.h5'),
    );
    const model = makeClassifier();
    const before = JSON.stringify(Object.values(model.stateDict()).map(({ data }) => [...data]));
    await expect(fromKeras(folder.path('words.weights.h5'), { model })).rejects.toThrow(evenkeelError('ERR_FILE', 'words.weights.h5'));
    expect(JSON.stringify(Object.values(model.stateDict()).map(({ data }) => [...data]))).toBe(before);
  });

  test('lengths: what is masked stands behind what counts', async () => {
    const { lengthsOf } = await fromKeras(folder.path('words.keras'));
    expect([...(lengthsOf(Tensor.from([[1, 2, 0], [3, 3, 3], [0, 0, 0]])) as Int32Array)]).toEqual([2, 3, 0]); // biome-ignore format: rows
    expect(() => lengthsOf(Tensor.from([[0, 2, 1]]))).toThrow(evenkeelError('ERR_OPTION', "padding='post'"));
    expect(() => lengthsOf(Tensor.zeros([2, 3, 1]))).toThrow(evenkeelError('ERR_SHAPE'));
    const { lengthsOf: none } = await fromKeras(folder.path('symbols.keras'));
    expect(none(Tensor.from([[0, 2, 1]]))).toBeUndefined();
  });
});

test('refuses what is no file of Keras', async () => {
  const folder = unpack('keras3');
  writeFileSync(folder.path('text'), 'a text, and no model');
  await expect(fromKeras(folder.path('text'))).rejects.toThrow(
    evenkeelError('ERR_FILE', 'a .keras or .h5 file, got one that begins with "a text'),
  );
  await expect(fromKeras(folder.path('none'))).rejects.toThrow(evenkeelError('ERR_FILE', 'no such file'));
  await expect(fromKeras(folder.path('text'), { logit: true } as FromKerasOptions)).rejects.toThrow(evenkeelError('ERR_OPTION', 'logits'));
  folder.remove();
});

test('a mask that an RMSNormalization drops is no length here', async () => {
  const folder = unpack('keras3');
  const parts = unzipSync(readFileSync(folder.path('rms.keras')));
  const { config, ...rest } = JSON.parse(strFromU8(parts['config.json'] as Uint8Array)) as { config: { layers: object[] } };
  const masking = { module: 'keras.layers', class_name: 'Masking', config: { name: 'masking', mask_value: 0 }, registered_name: null };
  const layers = config.layers.toSpliced(1, 0, masking);
  writeFileSync(
    folder.path('masked'),
    zipSync({ ...parts, 'config.json': strToU8(JSON.stringify({ ...rest, config: { ...config, layers } })) }),
  );
  expect((await fromKeras(folder.path('rms.keras'))).model.parameters().length).toBeGreaterThan(0);
  await expect(fromKeras(folder.path('masked'))).rejects.toThrow(evenkeelError('ERR_FILE', 'expected a mask that reaches it'));
  folder.remove();
});
