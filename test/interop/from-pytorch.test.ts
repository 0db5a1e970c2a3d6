// State dicts of torch.nn, made by fixtures/torch_states.py, against what PyTorch computes.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  Activation,
  EvenkeelError,
  type FromPyTorchOptions,
  fromPyTorch,
  GRU,
  Linear,
  LSTM,
  loadState,
  type PyTorchModuleType,
  RNN,
  type Sequential,
  type StateDict,
  saveState,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { folder } from '../io/safetensors-files';

const fixtures = join(__dirname, 'fixtures');
const all = loadState(join(fixtures, 'torch-states.safetensors'));
const { cases, lengths }: { cases: { name: string; cell: string }[]; lengths: number[] } = JSON.parse(
  readFileSync(join(fixtures, 'torch-states.json'), 'utf8'),
);
const golden = (name: string): Tensor => all[name] as Tensor;

/** The state dict of a case, its names changed. */
function stateOf(name: string, rename = (key: string) => key): StateDict {
  const prefix = `${name}/state/`;
  const entries = Object.entries(all).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(entries.map(([key, tensor]) => [rename(key.slice(prefix.length)), tensor]));
}

const path = join(folder, 'torch.safetensors');
const CLASSES = { tanh: RNN, relu: RNN, gru: GRU, lstm: LSTM };

describe('a bare recurrent module', () => {
  test.each(cases.map(({ name, cell }) => [name, cell]))('%s gives what PyTorch gives, with lengths and without', (name, cell) => {
    saveState(path, stateOf(name), { metadata: { format: 'pt' } });
    const model = fromPyTorch(path, cell === 'relu' ? { modules: { '': { type: 'RNN', nonlinearity: 'relu' } } } : {});
    expect(model).toBeInstanceOf(CLASSES[cell as keyof typeof CLASSES]);
    expectClose(model.forward(golden(`${name}/x`)), golden(`${name}/output`), { within: 1e-5 });
    expectClose(model.forward(golden(`${name}/x`), { lengths }), golden(`${name}/masked`), { within: 1e-5 });
  });

  test('there are those of every cell, number of layers, direction', () => {
    expect(cases.length).toBe(4 * (3 * 2 + 2) + 2);
  });
});

const symbols: FromPyTorchOptions['modules'] = {
  embedding: 'Embedding',
  'encoder.norm': { type: 'LayerNorm', eps: 1e-3 },
  'encoder.rnn': 'GRU',
  last: 'LastStep',
  rms: 'RMSNorm',
  head: 'Linear',
};

describe('a model of several modules', () => {
  test.each([
    ['', 'float32'],
    ['module.', 'float32'],
    ['_orig_mod.module.', 'float64'],
  ] as const)('in the order that is given, with %p before its names, in %s', (prefix, dtype) => {
    const model = fromPyTorch(
      stateOf('symbols', (key) => prefix + key),
      { modules: symbols, dtype },
    );
    const x = new Tensor(dtype === 'float64' ? Float64Array.from(golden('symbols/x').data) : golden('symbols/x').data, [3, 5]);
    const output = model.forward(x);
    expect(output.dtype).toBe(dtype);
    expectClose(output.data, golden('symbols/output').data, { within: 1e-5 });
    expect(Object.keys(model.stateDict())).toEqual([
      'embedding.weight',
      'encoder.norm.weight',
      'encoder.norm.bias',
      'encoder.rnn.weight_ih_l0',
      'encoder.rnn.weight_hh_l0',
      'encoder.rnn.bias_ih_l0',
      'encoder.rnn.bias_hh_l0',
      'rms.weight',
      'head.weight',
    ]);
  });

  test('of an nn.Sequential without gaps, by its numbers', () => {
    const head = { '1.weight': Tensor.from([[1, 0, 0, 0]]), '1.bias': Tensor.from([0.5]) };
    const name = 'lstm-1-one';
    const model = fromPyTorch({ ...stateOf(name, (key) => `0.${key}`), ...head });
    expect(Object.keys((model as Sequential).layers)).toEqual(['0', '1']);
    const expected = golden(`${name}/output`).data.filter((_, i) => i % 4 === 0);
    expectClose(
      model.forward(golden(`${name}/x`)).data,
      expected.map((h) => h + 0.5),
      { within: 1e-5 },
    );
    const withLast = fromPyTorch(
      { ...stateOf(name, (key) => `0.${key}`), '2.weight': head['1.weight'], '2.bias': head['1.bias'] },
      { modules: ['LSTM', 'LastStep', 'Linear'] },
    );
    expect(withLast.forward(golden(`${name}/x`)).shape).toEqual([3, 1]);
    const types = ['LSTM', 'Linear', 'ReLU', { type: 'Dropout', p: 0.1 }, 'Softmax', new Activation({ kind: 'tanh' })] as const;
    const longer = fromPyTorch({ ...stateOf(name, (key) => `0.${key}`), ...head }, { modules: types });
    expectClose(longer.predict?.(golden(`${name}/x`)) as Tensor, new Tensor(new Float32Array(15).fill(Math.tanh(1)), [3, 5, 1]), {
      within: 1e-6,
    });
  });

  test('of a LayerNorm without bias, β is zeros', () => {
    const model = fromPyTorch({ weight: Tensor.from([1, 2]) }, { modules: { '': 'LayerNorm' } });
    expect(model.stateDict().bias?.toArray()).toEqual([0, 0]);
  });
});

describe('what is refused', () => {
  const lstm = () => stateOf('lstm-2-both');
  const gru = (rename?: (key: string) => string) => stateOf('gru-1-one', rename);
  const linear = { 'head.weight': Tensor.from([[1, 2]]), 'head.bias': Tensor.from([1]) };
  const { weight_hh_l1_reverse, ...incomplete } = lstm();
  test.each<[string, () => StateDict, FromPyTorchOptions, string, string]>([
    ['no tensor at all', () => ({}), {}, 'ERR_FILE', 'state: expected tensors, got none'],
    ['a tensor that is missing', () => incomplete, {}, 'ERR_FILE', 'state: expected values for "weight_hh_l1_reverse", got none'],
    [
      'a tensor of no layer',
      () => ({ ...gru((key) => `rnn.${key}`), step: Tensor.from(1) }),
      { modules: { rnn: 'GRU' } },
      'ERR_FILE',
      'state: expected tensors that belong to layers of the model, got "step" []. Name their modules',
    ],
    [
      'a tensor beside those of its module',
      () => ({ ...gru(), weight_ih_l0_more: Tensor.from([1]) }),
      { modules: { '': 'GRU' } },
      'ERR_FILE',
      'got "weight_ih_l0_more"',
    ],
    [
      'a module of another kind',
      () => ({ 'conv.weight': Tensor.zeros([2, 2, 3]), 'conv.bias': Tensor.zeros([2]) }),
      {},
      'ERR_FILE',
      'state, module "conv": expected the tensors of one of RNN, GRU, LSTM, Linear',
    ],
    [
      'no order',
      () => ({ ...gru((key) => `rnn.${key}`), ...linear }),
      {},
      'ERR_OPTION',
      `Give modules: { "rnn": 'GRU', "head": 'Linear' }, in the order in which data goes through them`,
    ],
    ['what may be one or another', () => ({ weight: Tensor.from([[1]]) }), {}, 'ERR_OPTION', `{ "": 'Linear' or 'Embedding' }`],
    ['a number left out', () => ({ '0.weight': Tensor.from([[1]]), '2.bias': Tensor.from([1]) }), {}, 'ERR_FILE', 'module "2"'],
    [
      'a number left out of the modules',
      () => ({ '0.weight': Tensor.from([[1]]), '2.weight': Tensor.from([[1]]) }),
      { modules: { 0: 'Linear', 2: 'Linear' } },
      'ERR_OPTION',
      'modules: expected a layer 1 where layers are numbered, got "2"',
    ],
    ['another type', () => gru(), { modules: { '': 'LSTM' } }, 'ERR_FILE', 'weight_ih_l0 of 4 · 4 rows, got 12'],
    ['a type of none', () => gru(), { modules: { '': 'Gru' as PyTorchModuleType } }, 'ERR_OPTION', 'modules.: expected one of RNN, GRU'],
    ['a module that is not there', () => gru(), { modules: { rnn: 'GRU' } }, 'ERR_OPTION', 'modules.rnn: expected a module of state'],
    [
      'what the tensors say',
      () => gru(),
      { modules: { '': { type: 'GRU', hiddenSize: 4 } } },
      'ERR_OPTION',
      'modules..hiddenSize: expected nothing, since the tensors say it',
    ],
    [
      'an unknown option of a module',
      () => gru(),
      { modules: { '': { type: 'GRU', nonlinearity: 'relu' } } },
      'ERR_OPTION',
      'nonlinearity',
    ],
    [
      'an option of a module that has none',
      () => gru(),
      { modules: { '': 'GRU', last: { type: 'LastStep', p: 1 } } },
      'ERR_OPTION',
      'module options: unknown option "p"',
    ],
    [
      'a layer with parameters',
      () => gru(),
      { modules: { '': new Linear({ inputSize: 1, outputSize: 1 }) } },
      'ERR_OPTION',
      'modules.: expected a layer without parameters',
    ],
    [
      'modules of one parent apart',
      () => ({ 'a.x.weight': Tensor.from([[1]]), ...linear, 'a.y.weight': Tensor.from([[1]]) }),
      { modules: { 'a.x': 'Linear', head: 'Linear', 'a.y': 'Linear' } },
      'ERR_OPTION',
      'modules: expected all of a one after another, got "a.y"',
    ],
    [
      'two dtypes',
      () => ({ weight: Tensor.from([[1]]), bias: Tensor.zeros([1], { dtype: 'float64' }) }),
      {},
      'ERR_DTYPE',
      'Say which with dtype',
    ],
    [
      'a layer far beyond the others',
      () => ({ ...gru(), weight_ih_l999: Tensor.zeros([12, 4]) }),
      {},
      'ERR_FILE',
      'expected tensors of each layer, got some of a layer 999, 5 in all',
    ],
    ['a size of 0', () => ({ weight: Tensor.zeros([0, 3]), bias: Tensor.zeros([0]) }), {}, 'ERR_FILE', 'outputSize'],
  ])('%s', (_, state, options, code, message) => {
    expectRefused(() => fromPyTorch(state(), options), code as 'ERR_FILE', message);
  });

  test('a file whose metadata about modules are not understood', () => {
    for (const text of ['{', '{}', '[1]', '[["", "Conv"]]']) {
      saveState(path, gru(), { metadata: { 'evenkeel.modules': text } });
      expectRefused(() => fromPyTorch(path), 'ERR_FILE', 'expected modules in the metadata evenkeel.modules');
    }
    saveState(path, gru(), { metadata: { 'evenkeel.modules': '[["", {"type": "GRU", "returnSequences": false}]]' } });
    expect(fromPyTorch(path).forward(golden('gru-1-one/x')).shape).toEqual([3, 4]);
  });
});

test('any tensor left out, renamed or of another shape: a whole model or ERR_FILE', () => {
  const state = stateOf('symbols');
  const names = Object.keys(state);
  const change = fc.record({ name: fc.constantFrom(...names), kind: fc.constantFrom('drop', 'rename', 'reshape', 'cut'), to: fc.string() });
  let refused = 0;
  fc.assert(
    fc.property(change, ({ name, kind, to }) => {
      const { [name]: tensor, ...rest } = state as Record<string, Tensor>;
      const { data, shape, size } = tensor as Tensor;
      if (kind === 'rename' && to !== '__proto__') rest[to] = tensor as Tensor;
      if (kind === 'reshape') rest[name] = new Tensor(data, [...shape].reverse());
      if (kind === 'cut') rest[name] = new Tensor(data.subarray(0, size - 1), [size - 1]);
      try {
        const model = fromPyTorch(rest, { modules: symbols });
        expect(Object.keys(model.stateDict()).length).toBe(9);
      } catch (error) {
        if (!(error instanceof EvenkeelError)) throw error;
        expect(['ERR_FILE', 'ERR_OPTION']).toContain(error.code);
        refused++;
      }
    }),
    { numRuns: 300 },
  );
  expect(refused).toBeGreaterThan(100);
});

test('any damage to a file: a whole model or ERR_FILE', () => {
  saveState(path, stateOf('lstm-2-both'), { metadata: { format: 'pt' } });
  const file = readFileSync(path);
  const headerEnd = 8 + Number(file.readBigUInt64LE());
  fc.assert(
    fc.property(fc.oneof(fc.nat(headerEnd - 1), fc.nat(file.length - 1)), fc.nat(7), (at, bit) => {
      const copy = Buffer.from(file);
      copy[at] = (copy[at] as number) ^ (1 << bit);
      writeFileSync(path, copy);
      try {
        expect(fromPyTorch(path)).toBeInstanceOf(LSTM);
      } catch (error) {
        if (!(error instanceof EvenkeelError)) throw error;
        // A name with another beginning is another module, of which the order must be told.
        expect(['ERR_FILE', 'ERR_OPTION', 'ERR_DTYPE']).toContain(error.code);
      }
    }),
    { numRuns: 150 },
  );
});
