// Malformed arguments of what reads, writes and prepares data: see calls.ts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  fromKeras,
  fromOnnx,
  fromPyTorch,
  fromTfjs,
  LastStep,
  Linear,
  latestWindows,
  loadCheckpoint,
  loadMetadata,
  loadModel,
  loadState,
  localExecutor,
  lyapunovSpectrum,
  makeBatches,
  makeWindows,
  type RNN,
  type RowRange,
  readSeries,
  readSeriesAsync,
  registerLayer,
  Scaler,
  type Sequential,
  type Series,
  SGD,
  saveCheckpoint,
  saveModel,
  saveState,
  splitInTime,
  splitSeries,
  standardize,
  sweep,
  Tensor,
  toKeras,
  toOnnx,
  toPyTorch,
  toTfjs,
  Workspace,
} from '../../lib/index';
import { typedArrayKind, typedArrayLength } from '../../lib/typed-arrays';
import { ERROR_CODES, expectRefused } from '../helpers/errors';
import {
  type Accepts,
  generator,
  hasNoKeys,
  isBoolean,
  isDType,
  isInteger,
  isNumber,
  isReadableArray,
  makeRNN,
  makeSequential,
  never,
  optional,
  RUNS,
  replaced,
  tensor,
  testCalls,
} from './calls';
import { makeHostile, recipes } from './hostile';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
writeFileSync(at('table.csv'), `a,b,t,id\n${['x', 'y'].map((id) => `1,2,2025-01-01,${id}\n3,4,2025-01-02,${id}\n`).join('')}`);
saveState(at('state'), { w: tensor([2]) });
saveModel(at('model'), makeSequential());
let registered = 0;
toOnnx(makeSequential(), at('onnx'));
saveState(at('torch'), { '0.weight': tensor([1, 2]), '0.bias': tensor([1]) });
const makeTrained = () => {
  const model = makeSequential();
  return { model, optimizer: new SGD(model.parameters(), { learningRate: 0.1, momentum: 0.9 }) };
};
saveCheckpoint(at('checkpoint'), { ...makeTrained(), step: 3 });

/** Whether `test` says so of a value that may throw when it is looked at. */
const safely =
  (test: (value: unknown) => boolean): Accepts =>
  (value) => {
    try {
      return test(value);
    } catch {
      return false;
    }
  };
const isText: Accepts = (value) => typeof value === 'string';
const isFunction: Accepts = (value) => typeof value === 'function';
const isEmptyArray = safely((value) => Array.isArray(value) && value.length === 0);
const holdsTexts = safely((value) => Object.values(value as object).every(isText));
const isLastStep = safely((value) => value instanceof LastStep);

const makeSeries = (): Series => ({
  columns: ['a', 'b'],
  rows: 6,
  values: Float64Array.from({ length: 12 }, (_, i) => i ** 1.5),
  target: 1,
  sequences: [{ id: 'all', begin: 0, end: 6 }],
  times: Float64Array.of(0, 1, 2, 3, 4, 5),
  filled: new Uint8Array(12),
});
const isBytes = safely((value) => value instanceof Uint8Array && value.length === 12);
const isTimes = safely((value) => typedArrayKind(value) === 'Float64Array' && typedArrayLength(value as Float64Array) === 6);
const isOneNumber = safely(
  (value) => isReadableArray(value) && (value as unknown[]).length === 1 && typeof (value as unknown[])[0] === 'number',
);
const seriesPlaces = {
  0: never,
  '0.columns': isReadableArray,
  '0.rows': isInteger(6, 6),
  '0.values': never,
  '0.target': isInteger(0, 1),
  '0.sequences': optional(never),
  '0.times': optional(isTimes),
  '0.filled': optional(isBytes),
};
const seriesProbe = ([series]: unknown[]) => standardize(series as Series, { begin: 0, end: 5 });

const tablePlaces: Record<string, Accepts> = {
  0: never,
  1: optional(hasNoKeys),
  '1.columns': optional(never),
  '1.target': optional(never),
  '1.decimal': optional(never),
  // One character is a delimiter, whichever it is.
  '1.delimiter': optional(isText),
  '1.missing': optional(never),
  '1.time': optional(never),
  '1.sequenceId': optional(never),
};
const tableOptions = { columns: ['a', 'b'], target: 'b', time: 't', sequenceId: 'id', decimal: '.', delimiter: ',', missing: 'error' };
const makeTable = () => [at('table.csv'), tableOptions];

const trainedPlaces: Record<string, Accepts> = {
  1: never,
  '1.optimizer': never,
  '1.clipper': optional(never),
  '1.generator': optional(never),
};
const weightsOf = ([, { model }]: [unknown, { model: Sequential }]) => model.parameters().map(({ value }) => value.toArray());

test('JavaScript cannot make a Scaler that was neither fitted nor read', () => {
  for (const made of [undefined, ['a'], { columns: ['a'] }, Scaler.fit(makeSeries())])
    expectRefused(() => Reflect.construct(Scaler, [made, {}, new Map()]), 'ERR_OPTION', 'Scaler.fit or Scaler.from');
});

testCalls({
  readSeries: { make: makeTable, call: (path, options) => readSeries(path as string, options as object), places: tablePlaces },
  standardize: {
    make: () => [makeSeries(), { begin: 0, end: 4 }],
    call: (series, range) => standardize(series as Series, range as RowRange),
    places: { ...seriesPlaces, 1: never, '1.begin': isInteger(0, 3), '1.end': isInteger(1, 6) },
    probe: seriesProbe,
  },
  makeWindows: {
    make: () => [makeSeries(), { window: 2, range: { begin: 0, end: 6 }, dtype: 'float64' }],
    call: (series, options) => makeWindows(series as Series, options as Parameters<typeof makeWindows>[1]),
    places: { ...seriesPlaces, 1: never, '1.window': isInteger(1, 5), '1.range': optional(never), '1.dtype': optional(isDType) },
    probe: seriesProbe,
  },
  'makeWindows with a horizon': {
    make: () => [makeSeries(), { window: 2, horizon: 2 }],
    call: (series, options) => makeWindows(series as Series, options as Parameters<typeof makeWindows>[1]),
    places: { 1: never, '1.horizon': optional(isInteger(1, 4)) },
  },
  latestWindows: {
    make: () => [makeSeries(), { window: 2, dtype: 'float64' }],
    call: (series, options) => latestWindows(series as Series, options as Parameters<typeof latestWindows>[1]),
    places: { ...seriesPlaces, 1: never, '1.window': isInteger(1, 6), '1.dtype': optional(isDType) },
    probe: seriesProbe,
  },
  splitSeries: {
    make: () => [makeSeries(), { window: 2, horizon: 1 }],
    call: (series, options) => splitSeries(series as Series, options as Parameters<typeof splitSeries>[1]),
    places: { ...seriesPlaces, 1: never, '1.window': isInteger(1, 3), '1.horizon': optional(isInteger(1, 1)) },
    probe: seriesProbe,
  },
  'Scaler.fit': {
    make: () => [makeSeries(), { begin: 0, end: 4 }],
    call: (series, range) => Scaler.fit(series as Series, range as RowRange),
    places: { ...seriesPlaces, 1: optional(never), '1.begin': isInteger(0, 3), '1.end': isInteger(1, 6) },
    probe: seriesProbe,
  },
  'Scaler.from': {
    make: () => [{ columns: ['a'], mean: [1], std: [1], sequences: { id: { mean: [1], std: [1] } } }],
    call: (state) => Scaler.from(state as Parameters<typeof Scaler.from>[0]),
    places: {
      0: never,
      '0.columns': (value) => isReadableArray(value) && (value as unknown[]).length === 1 && isText((value as unknown[])[0]),
      '0.mean': isOneNumber,
      '0.std': isOneNumber,
      '0.sequences': optional(hasNoKeys),
    },
  },
  'a Scaler': {
    make: () => [makeSeries(), tensor([2]), 'a', 'all'],
    call: (series, values, column, sequence) => {
      const scaler = Scaler.fit(makeSeries());
      scaler.transform(series as Series);
      scaler.fillMissing(series as Series);
      return scaler.inverseTransform(values as Tensor, column as string, sequence as string);
    },
    places: { ...seriesPlaces, '0.columns': never, 1: Tensor.isTensor, 2: isText, 3: optional(isText) },
    probe: seriesProbe,
  },
  splitInTime: {
    make: () => [100, 5],
    call: (rows, window) => splitInTime(rows as number, window as number),
    places: { 0: isInteger(10, Number.MAX_SAFE_INTEGER), 1: isInteger(1, 69) },
  },
  makeBatches: {
    make: () => [tensor([4, 3]), tensor([4, 2]), { batchSize: 2, generator: generator(), shuffle: true, dropLast: false }],
    call: (inputs, targets, options) => [...makeBatches(inputs as Tensor, targets as Tensor, options as Parameters<typeof makeBatches>[2])],
    places: {
      0: never,
      1: (value) => ArrayBuffer.isView(value) || isReadableArray(value),
      2: never,
      '2.batchSize': isInteger(1, Number.MAX_SAFE_INTEGER),
      '2.generator': optional(never),
      '2.shuffle': optional(isBoolean),
      '2.dropLast': optional(isBoolean),
    },
    probe: ([inputs]) => (inputs as Tensor).toArray(),
  },
  saveState: {
    make: () => [at('saved'), { w: tensor([2]) }, { metadata: { a: 'b' }, checksum: true }],
    call: (path, state, options) => saveState(path as string, state as Record<string, Tensor>, options as object),
    places: {
      0: isText,
      1: safely((value) => Object.keys(value as object).length === 0),
      '1.w': Tensor.isTensor,
      2: optional(hasNoKeys),
      '2.metadata': optional(holdsTexts),
      '2.checksum': optional(isBoolean),
    },
    probe: () => loadState(at('state')),
  },
  loadState: {
    make: () => [at('state'), { names: ['w'] }],
    call: (path, options) => loadState(path as string, options as object),
    places: { 0: never, 1: optional(hasNoKeys), '1.names': optional(isEmptyArray) },
  },
  toPyTorch: {
    make: () => [makeSequential(), at('written')],
    call: (model, path) => toPyTorch(model as Sequential, path as string),
    places: { 0: isLastStep, 1: isText },
  },
  toOnnx: {
    make: () => [makeSequential(), at('written'), { lengths: true, dtype: 'float32' }],
    call: (model, path, options) => toOnnx(model as Sequential, path as string, options as object),
    places: { 0: never, 1: isText, 2: optional(hasNoKeys), '2.lengths': optional(isBoolean), '2.dtype': optional(isDType) },
  },
  fromOnnx: {
    make: () => [at('onnx'), { dtype: 'float64' }],
    call: (path, options) => fromOnnx(path as string, options as object),
    places: { 0: never, 1: optional(hasNoKeys), '1.dtype': optional(isDType) },
    probe: () => fromOnnx(at('onnx')).forward(tensor([2, 3, 4])),
  },
  fromPyTorch: {
    make: () => [at('torch'), { modules: ['Linear', 'ReLU'], dtype: 'float64' }],
    call: (state, options) => fromPyTorch(state as string, options as object),
    places: { 0: never, 1: optional(hasNoKeys), '1.modules': optional(never), '1.dtype': optional(isDType) },
    probe: () => fromPyTorch(at('torch')).forward(tensor([3, 2])),
  },
  toTfjs: {
    make: () => [new Linear({ inputSize: 2, outputSize: 3 }), at('tfjs'), { maskValue: 0 }],
    call: (model, folder, options) => toTfjs(model as Linear, folder as string, options as object),
    places: { 0: never, 1: isText, 2: optional(hasNoKeys), '2.maskValue': optional(isNumber(-Number.MAX_VALUE)) },
  },
  toKeras: {
    make: () => [new Linear({ inputSize: 2, outputSize: 3 }), at('saved'), { maskValue: 0 }],
    call: (model, path, options) => toKeras(model as Linear, path as string, options as object),
    places: { 0: never, 1: isText, 2: optional(hasNoKeys), '2.maskValue': optional(isNumber(-Number.MAX_VALUE)) },
  },
  loadMetadata: { make: () => [at('state')], call: (path) => loadMetadata(path as string), places: { 0: never } },
  saveModel: {
    make: () => [at('saved'), makeSequential(), { metadata: { a: 'b' } }],
    call: (path, model, options) => saveModel(path as string, model as Sequential, options as object),
    places: { 0: isText, 1: isLastStep, 2: optional(hasNoKeys), '2.metadata': optional(holdsTexts) },
  },
  loadModel: { make: () => [at('model')], call: (path) => loadModel(path as string), places: { 0: never } },
  registerLayer: {
    make: () => [`Scale${registered++}`, class extends LastStep {}],
    call: (name, layerClass) => registerLayer(name as string, layerClass as typeof LastStep),
    places: { 0: safely((value) => typeof value === 'string' && value !== '' && value.length <= 100), 1: never },
  },
  saveCheckpoint: {
    make: () => [at('saved'), { ...makeTrained(), step: 1 }],
    call: (path, trained) => saveCheckpoint(path as string, trained as Parameters<typeof saveCheckpoint>[1]),
    places: { 0: isText, ...trainedPlaces, '1.model': isLastStep, '1.step': isInteger(0, Number.MAX_SAFE_INTEGER) },
    probe: (args) => weightsOf(args as Parameters<typeof weightsOf>[0]),
  },
  loadCheckpoint: {
    make: () => [at('checkpoint'), makeTrained()],
    call: (path, trained) => loadCheckpoint(path as string, trained as Parameters<typeof loadCheckpoint>[1]),
    places: { 0: never, ...trainedPlaces, '1.model': never },
    probe: (args) => weightsOf(args as Parameters<typeof weightsOf>[0]),
  },
  lyapunovSpectrum: {
    make: () => [makeRNN(), tensor([2, 4, 4]), { count: 2, burnIn: 1 }],
    call: (rnn, input, options) => lyapunovSpectrum(rnn as RNN, input as Tensor, options as object),
    places: { 0: never, 1: never, 2: optional(hasNoKeys), '2.count': optional(isInteger(1, 5)), '2.burnIn': optional(isInteger(0, 3)) },
  },
  'Workspace.run': { make: () => [() => 1], call: (body) => new Workspace().run(body as () => number), places: { 0: isFunction } },
});

/** What rejects, or throws as a constructor of options does, for each of its arguments. */
function testRefusals(name: string, make: () => unknown[], call: (...args: never[]) => unknown, places: Record<string, Accepts>): void {
  test.each(Object.entries(places))(`${name}, argument %s`, async (place, accepts) => {
    await fc.assert(
      fc.asyncProperty(recipes, async (recipe) => {
        const value = makeHostile(recipe);
        fc.pre(!accepts(value));
        const error = await (async () => call(...(replaced(make(), place, value) as never[])))().then(
          () => 'was accepted',
          (reason) => reason,
        );
        expect(error).toMatchObject({ name: 'EvenkeelError', code: expect.stringMatching(new RegExp(`^(${ERROR_CODES.join('|')})$`)) });
      }),
      { numRuns: RUNS },
    );
  });
}

testRefusals('readSeriesAsync', makeTable, readSeriesAsync, tablePlaces);
testRefusals('fromKeras', () => [at('table.csv'), { model: new LastStep(), dtype: 'float64', logits: true }], fromKeras, {
  0: never,
  1: never,
  '1.model': never,
  '1.dtype': never,
  '1.logits': never,
});
testRefusals('fromTfjs', () => [at('table.csv'), { dtype: 'float64', logits: true }], fromTfjs, {
  0: never,
  1: never,
  '1.dtype': never,
  '1.logits': never,
});
testRefusals('localExecutor', () => [{ workers: 1 }], localExecutor, {
  0: optional(hasNoKeys),
  '0.workers': optional(isInteger(1, 256)),
});
testRefusals('sweep', () => [{ lengths: [3], steps: 1 }, { store: at('sweep') }], sweep, {
  0: never,
  1: never,
  '0.lengths': never,
  '1.store': isText,
  '1.executor': optional(never),
  '1.onTrial': optional(isFunction),
  '1.signal': optional(never),
  '1.trialTimeout': optional(isNumber(Number.MIN_VALUE, 2e6)),
  '1.retries': optional(isInteger(0, 1000)),
});
