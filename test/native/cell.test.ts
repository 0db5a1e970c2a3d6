// What the scan over time does for a cell that has all a cell may have (native/layers/cells/test_cell.cc): two gates, one of them separate, a
// state twice as wide as what is put out, a direct part, a tape. Against its equations written down here, central differences of them, and for
// every strategy, number of threads, checkpointing and truncation.
import { createHash } from 'node:crypto';
import type { NativeRecurrentLayer } from '../../lib/native/addon';
import { native } from '../../lib/native/load';
import { Generator } from '../../lib/random';
import { allocate, type DType, type TensorData } from '../../lib/tensor';

const addon = native();
const threadsBefore = addon.getNumThreads();
afterEach(() => {
  addon.setNumThreads(threadsBefore);
  addon.setScanStrategy('auto');
});

const STRATEGIES = ['blas', 'panels', 'single', 'columns', 'lanes'];
type Shape = [n: number, t: number, i: number, h: number];

/** All arrays of a layer's calls; `outer` are those that a loss is made of. */
function arraysOf([n, t, i, h]: Shape, dtype: DType) {
  const generator = new Generator(11);
  const filled = (count: number, by = 1): TensorData => allocate(dtype, count).map(() => by * generator.normal()) as TensorData;
  const scale = 1 / Math.sqrt(h);
  return {
    input: filled(n * t * i),
    initialState: filled(n * 2 * h),
    weights: [filled(2 * h * i, scale), filled(2 * h * h, scale), filled(2 * h, scale), filled(2 * h, scale)],
    gradOutput: filled(n * t * h),
    gradFinalState: filled(n * 2 * h),
  };
}
type Arrays = ReturnType<typeof arraysOf>;

function layerOf([, , i, h]: Shape, { weights }: Arrays, gradients = weights.map((weight) => weight.map(() => 0) as TensorData)) {
  const layer = addon.recurrentLayer(weights, gradients, { cell: 'test', inputSize: i, hiddenSize: h });
  return { layer, gradients };
}

const elements = (dtype: DType, length: number): TensorData | null => (length === 0 ? null : allocate(dtype, length));
const dtypeOf = (array: TensorData): DType => (array instanceof Float64Array ? 'float64' : 'float32');

interface Run {
  output: TensorData;
  finalState: TensorData;
  gradInput: TensorData;
  gradInitialState: TensorData;
  gradients: TensorData[];
  logNorms: Float64Array;
  limited: number;
}

/** Forward and backward in one call each. */
function run(shape: Shape, a: Arrays, { records = false, limit = Number.POSITIVE_INFINITY } = {}): Run {
  const [n, t, i, h] = shape;
  const dtype = dtypeOf(a.input);
  const { layer, gradients } = layerOf(shape, a);
  const [output, finalState, gradInput] = [allocate(dtype, n * t * h), allocate(dtype, n * 2 * h), allocate(dtype, n * t * i)];
  const tape = elements(dtype, layer.tapeLength(n, t));
  layer.forward(n, t, a.input, a.initialState, output, finalState, tape);
  const gradInitialState = a.gradFinalState.slice();
  // Of the whole state, of what is put out, and of the rest.
  const [logNorms, exponents] = [new Float64Array(3 * n * t), new Int32Array(n)];
  const recorded = [records ? logNorms : null, records ? exponents : null] as const;
  const limited = layer.backward(
    n,
    t,
    a.input,
    a.initialState,
    output,
    tape,
    a.gradOutput,
    gradInput,
    gradInitialState,
    limit,
    ...recorded,
  );
  for (let k = 0; k < gradInitialState.length; k++) {
    gradInitialState[k] = (gradInitialState[k] as number) * 2 ** (exponents[Math.floor(k / (2 * h))] as number);
  }
  return { output, finalState, gradInput, gradInitialState, gradients, logNorms, limited };
}

/** The equations of the cell, in double. */
function reference([n, t, i, h]: Shape, a: Arrays): { output: Float64Array; state: Float64Array } {
  const [wIh, wHh, bIh, bHh] = a.weights as [TensorData, TensorData, TensorData, TensorData];
  const at = (array: TensorData, index: number) => array[index] as number;
  const state = Float64Array.from(a.initialState);
  const output = new Float64Array(n * t * h);
  for (let row = 0; row < n; row++) {
    for (let step = 0; step < t; step++) {
      const before = state.slice(row * 2 * h, (row + 1) * 2 * h);
      const product = (weight: TensorData, gate: number, width: number, vector: TensorData, from: number) => {
        let sum = 0;
        for (let k = 0; k < width; k++) sum += at(weight, gate * width + k) * at(vector, from + k);
        return sum;
      };
      for (let j = 0; j < h; j++) {
        const x = (gate: number) => product(wIh, gate, i, a.input, (row * t + step) * i) + at(bIh, gate);
        const r = (gate: number) => product(wHh, gate, h, before, 0) + at(bHh, gate);
        const u = 1 / (1 + Math.exp(-(x(j) + r(j))));
        const v = Math.tanh(x(h + j) + u * r(h + j));
        const c = u * at(before, h + j) + (1 - u) * v;
        state[row * 2 * h + j] = v * c + at(before, j) / 2;
        state[row * 2 * h + h + j] = c;
        output[(row * t + step) * h + j] = state[row * 2 * h + j] as number;
      }
    }
  }
  return { output, state };
}

function loss(shape: Shape, a: Arrays): number {
  const { output, state } = reference(shape, a);
  const dot = (x: TensorData, y: TensorData) => Array.from(x).reduce((sum, value, k) => sum + value * (y[k] as number), 0);
  return dot(output, a.gradOutput) + dot(state, a.gradFinalState);
}

/** Central differences of the loss over every element of `array`. */
function differences(shape: Shape, a: Arrays, array: TensorData): Float64Array {
  const step = 1e-6;
  return Float64Array.from(array, (value, k) => {
    const lossAt = (by: number) => {
      array[k] = value + by;
      return loss(shape, a);
    };
    const difference = (lossAt(step) - lossAt(-step)) / (2 * step);
    array[k] = value;
    return difference;
  });
}

function expectClose(actual: TensorData, expected: TensorData, tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  for (const [k, value] of expected.entries()) {
    if (!(Math.abs((actual[k] as number) - value) <= tolerance * largest)) throw new Error(`element ${k}: ${actual[k]}, expected ${value}`);
  }
}

const bits = (arrays: TensorData[]): string[] =>
  arrays.map((a) =>
    createHash('sha1')
      .update(a as NodeJS.TypedArray)
      .digest('hex'),
  );
const bitsOf = ({ output, finalState, gradInput, gradInitialState, gradients }: Run): string[] =>
  bits([output, finalState, gradInput, gradInitialState, ...gradients]);

describe.each(STRATEGIES)('%s', (strategy) => {
  test.each<Shape>([
    [1, 5, 2, 3],
    [3, 4, 1, 5],
    [18, 2, 3, 2],
  ])('the equations and their central differences: N, T, I, H = %i, %i, %i, %i', (...shape) => {
    addon.setScanStrategy(strategy);
    const a = arraysOf(shape, 'float64');
    const { output, state } = reference(shape, a);
    const result = run(shape, a);
    expectClose(result.output, output, 1e-13);
    expectClose(result.finalState, state, 1e-13);
    expectClose(result.gradInput, differences(shape, a, a.input), 1e-8);
    expectClose(result.gradInitialState, differences(shape, a, a.initialState), 1e-8);
    for (const [k, weight] of a.weights.entries()) expectClose(result.gradients[k] as TensorData, differences(shape, a, weight), 1e-8);
  });

  test.each<Shape>([
    [1, 400, 5, 130],
    [1, 300, 3, 20],
    [2, 90, 70, 33],
    [5, 300, 10, 20],
    [40, 9, 17, 50],
    [3, 40, 20, 130],
  ])('any number of threads, and the equations in float32: N, T, I, H = %i, %i, %i, %i', (...shape) => {
    addon.setScanStrategy(strategy);
    const a = arraysOf(shape, 'float32');
    addon.setNumThreads(1);
    const expected = run(shape, a);
    expectClose(expected.output, reference(shape, a).output, 1e-4);
    for (const threads of [2, 3, 7]) {
      addon.setNumThreads(threads);
      expect(bitsOf(run(shape, a))).toEqual(bitsOf(expected));
    }
    addon.setScanStrategy(strategy === 'blas' ? 'panels' : 'blas');
    const other = run(shape, a);
    expectClose(expected.gradInput, other.gradInput, 1e-4);
    const [, ...biases] = other.gradients;
    expectClose(expected.gradients[0] as TensorData, other.gradients[0] as TensorData, 1e-4);
    for (const [k, gradient] of biases.entries()) expectClose(expected.gradients[k + 1] as TensorData, gradient, 1e-4);
  });

  test.each<Shape>([
    [1, 0, 3, 20],
    [1, 0, 3, 130],
    [5, 0, 4, 20],
    [18, 0, 3, 9],
  ])('segments computed again, and windows out of one tape: N, T, I, H = %i, %i, %i, %i', (n, _, i, h) => {
    addon.setScanStrategy(strategy);
    const chunk = layerOf([n, 1, i, h], arraysOf([n, 1, i, h], 'float32')).layer.chunkSteps(n);
    const shape: Shape = [n, 2 * chunk + 3, i, h];
    const a = arraysOf(shape, 'float32');
    for (const isKept of [true, false]) {
      for (const isConcurrent of [true, false])
        expect(bitsOf(runInSegments(shape, a, chunk, isKept, isConcurrent))).toEqual(bitsOf(run(shape, a)));
    }
  });

  test.each<Shape>([
    [1, 40, 3, 20],
    [5, 40, 4, 20],
    [18, 40, 3, 9],
  ])('parts of arrays where they stand, with weights that are packed once: N, T, I, H = %i, %i, %i, %i', (...shape) => {
    addon.setScanStrategy(strategy);
    const a = arraysOf(shape, 'float32');
    expect(bitsOf(runInPlace(shape, a))).toEqual(bitsOf(run(shape, a)));
  });

  test('weights are packed anew after those that passes share', () => {
    addon.setScanStrategy(strategy);
    const shape: Shape = [5, 9, 4, 20];
    const [a, other] = [arraysOf(shape, 'float32'), arraysOf(shape, 'float32')];
    const { layer } = layerOf(shape, a);
    const pass = () => {
      const output = allocate('float32', 5 * 9 * 20);
      layer.forward(5, 9, a.input, a.initialState, output, null, null);
      return output;
    };
    layer.shareWeights(true);
    pass();
    for (const [k, weight] of a.weights.entries()) weight.set((other.weights[k] as TensorData).map((value) => -value));
    layer.shareWeights(false);
    expect(bits([pass()])).toEqual(
      bits([run(shape, { ...other, weights: a.weights, input: a.input, initialState: a.initialState }).output]),
    );
  });

  test('recording changes no bit of the parameters’ gradients where threads share the units of one sequence', () => {
    addon.setScanStrategy(strategy);
    const shape: Shape = [1, 40, 3, 70];
    const a = arraysOf(shape, 'float32');
    expect(bits(run(shape, a, { records: true }).gradients)).toEqual(bits(run(shape, a).gradients));
  });

  test('recorded gradients are those that go on, and recording changes no bit of the parameters’', () => {
    addon.setScanStrategy(strategy);
    const shape: Shape = [5, 60, 3, 7];
    const a = arraysOf(shape, 'float64');
    const [plain, recorded] = [run(shape, a), run(shape, a, { records: true })];
    expect(bits(recorded.gradients)).toEqual(bits(plain.gradients));
    expectClose(recorded.gradInitialState, plain.gradInitialState, 1e-12);
    // g_T is all of what comes from beyond and from the last output.
    for (let row = 0; row < 5; row++) {
      const squares: [number, number] = [0, 0];
      for (let k = 0; k < 14; k++) {
        const own = k < 7 ? (a.gradOutput[(row * 60 + 59) * 7 + k] as number) : 0;
        squares[k < 7 ? 0 : 1] += ((a.gradFinalState[row * 14 + k] as number) + own) ** 2;
      }
      for (const [column, square] of [squares[0] + squares[1], ...squares].entries()) {
        expect(recorded.logNorms[(row * 60 + 59) * 3 + column]).toBeCloseTo(Math.log(square) / 2, 12);
      }
    }
    const limited = run(shape, a, { records: true, limit: 0.25 });
    expect(limited.limited).toBeGreaterThan(0);
    expect(limited.gradInitialState).not.toEqual(plain.gradInitialState);
    expectClose(limited.gradInitialState, run(shape, a, { limit: 0.25 }).gradInitialState, 1e-12);
  });

  test('tangents are the columns of ∂state_T/∂state_0', () => {
    addon.setScanStrategy(strategy);
    const shape: Shape = [18, 1, 3, 4];
    const [n, t, , h] = shape;
    const count = 2 * h;
    const a = arraysOf(shape, 'float64');
    const { layer } = layerOf(shape, a);
    const tangents = new Float64Array(n * count * count);
    for (let row = 0; row < n * count; row++) tangents[row * count + (row % count)] = 1;
    const [output, growths] = [new Float64Array(n * t * h), new Float64Array(n * t * count)];
    layer.tangents(n, t, a.input, a.initialState, output, null, count, tangents, growths);
    // ln|det J| = Σ ln|R_ii|
    for (let row = 0; row < n; row++) {
      const jacobian = Array.from({ length: count }, (__, k) => {
        const column = new Float64Array(count);
        for (const sign of [1, -1]) {
          const moved = { ...a, initialState: a.initialState.slice() };
          const index = row * count + k;
          moved.initialState[index] = (a.initialState[index] as number) + sign * 1e-6;
          const { state } = reference(shape, moved);
          for (let j = 0; j < count; j++) column[j] = (column[j] as number) + (sign * (state[row * count + j] as number)) / 2e-6;
        }
        return column;
      });
      const sum = growths.subarray(row * count, (row + 1) * count).reduce((total, growth) => total + growth, 0);
      expect(sum).toBeCloseTo(logDeterminant(jacobian), 5);
    }
  });
});

/** ln|det| by elimination with pivots. */
function logDeterminant(rows: Float64Array[]): number {
  let sum = 0;
  for (let k = 0; k < rows.length; k++) {
    const pivot = rows
      .slice(k)
      .reduce((best, row, at) => (Math.abs(row[k] as number) > Math.abs(rows[best]?.[k] as number) ? at + k : best), k);
    [rows[k], rows[pivot]] = [rows[pivot] as Float64Array, rows[k] as Float64Array];
    const first = rows[k] as Float64Array;
    sum += Math.log(Math.abs(first[k] as number));
    for (const row of rows.slice(k + 1)) {
      const factor = (row[k] as number) / (first[k] as number);
      for (let j = k; j < row.length; j++) row[j] = (row[j] as number) - factor * (first[j] as number);
    }
  }
  return sum;
}

/** The same as `run`, in segments of so many steps: out of one tape where all is kept, else each computed again. */
function runInSegments(shape: Shape, a: Arrays, every: number, isKept: boolean, isConcurrent: boolean): Run {
  const [n, t, i, h] = shape;
  const dtype = dtypeOf(a.input);
  const { layer, gradients } = layerOf(shape, a);
  const [output, finalState, gradInput] = [allocate(dtype, n * t * h), allocate(dtype, n * 2 * h), allocate(dtype, n * t * i)];
  const whole = isKept ? elements(dtype, layer.tapeLength(n, t)) : null;
  layer.forward(n, t, a.input, a.initialState, output, finalState, whole);
  const cut = (array: TensorData, begin: number, end: number, width: number): TensorData => {
    const part = allocate(dtype, n * (end - begin) * width);
    for (let row = 0; row < n; row++)
      part.set(array.subarray((row * t + begin) * width, (row * t + end) * width), row * (end - begin) * width);
    return part;
  };
  const segments: Segment[] = [];
  let state: TensorData = a.initialState;
  for (let begin = 0; begin < t; begin += every) {
    const end = Math.min(t, begin + every);
    const segment = { begin, end, state, input: cut(a.input, begin, end, i), output: allocate(dtype, n * (end - begin) * h) };
    const next = allocate(dtype, n * 2 * h);
    layer.forward(n, end - begin, segment.input, state, segment.output, next, null);
    if (isKept) {
      const read = allocate(dtype, n * 2 * h);
      layer.readState(n, t, end - 1, output, whole, read);
      expect(bits([read])).toEqual(bits([next]));
    }
    segments.push({ ...segment, tape: tapeOf(layer, n, segment, whole) });
    state = next;
  }
  const again = ({ begin, end, input, state: from, output: to, tape }: Segment) => [end - begin, input, from, to, null, tape] as const;
  const gradInitialState = a.gradFinalState.slice();
  for (let k = segments.length - 1; k >= 0; k--) {
    const segment = segments[k] as Segment;
    const [steps, input, from, to, final, tape] = again(segment);
    if (!isKept && (!isConcurrent || k === segments.length - 1)) layer.forward(n, steps, input, from, to, final, tape);
    const before = segments[k - 1];
    const concurrent = isConcurrent && !isKept && before !== undefined ? again(before) : ([] as const);
    const dx = allocate(dtype, n * steps * i);
    const dy = cut(a.gradOutput, segment.begin, segment.end, h);
    layer.backward(
      n,
      steps,
      input,
      from,
      to,
      tape,
      dy,
      dx,
      gradInitialState,
      Number.POSITIVE_INFINITY,
      null,
      null,
      null,
      null,
      null,
      ...concurrent,
    );
    for (let row = 0; row < n; row++) gradInput.set(dx.subarray(row * steps * i, (row + 1) * steps * i), (row * t + segment.begin) * i);
  }
  return { output, finalState, gradInput, gradInitialState, gradients, logNorms: new Float64Array(0), limited: 0 };
}

/** The same as `run`, in two parts of one tape at the end of a chunk, whose arrays are parts of the whole's and whose state is one array. */
function runInPlace(shape: Shape, a: Arrays): Run {
  const [n, t, i, h] = shape;
  const dtype = dtypeOf(a.input);
  const { layer, gradients } = layerOf(shape, a);
  const [output, finalState, gradInput] = [allocate(dtype, n * t * h), a.initialState.slice(), allocate(dtype, n * t * i)];
  const chunk = layer.chunkSteps(n);
  const parts = chunk < t ? [[0, chunk] as const, [chunk, t] as const] : [[0, t] as const];
  const view = (array: TensorData, begin: number, end: number, width: number) => array.subarray(begin * width, ((n - 1) * t + end) * width);
  layer.shareWeights(true);
  const done = parts.map(([begin, end]) => {
    const tape = elements(dtype, layer.tapeLength(n, end - begin));
    const before = finalState.slice();
    layer.forward(n, end - begin, view(a.input, begin, end, i), finalState, view(output, begin, end, h), finalState, tape, null, t);
    const read = allocate(dtype, n * 2 * h);
    layer.readState(n, end - begin, end - begin - 1, view(output, begin, end, h), tape, read, t);
    expect(bits([read])).toEqual(bits([finalState]));
    return { begin, end, tape, before };
  });
  const gradInitialState = a.gradFinalState.slice();
  for (const { begin, end, tape, before } of done.reverse()) {
    const [x, y] = [view(a.input, begin, end, i), view(output, begin, end, h)];
    const [dx, dy] = [view(gradInput, begin, end, i), view(a.gradOutput, begin, end, h)];
    const inf = Number.POSITIVE_INFINITY;
    layer.backward(n, end - begin, x, before, y, tape, dy, dx, gradInitialState, inf, null, null, null, t);
  }
  layer.shareWeights(false);
  return { output, finalState, gradInput, gradInitialState, gradients, logNorms: new Float64Array(0), limited: 0 };
}

interface Segment {
  begin: number;
  end: number;
  state: TensorData;
  input: TensorData;
  output: TensorData;
  tape: TensorData | null;
}

/** A segment's part of the whole tape or, without that, one of its own. */
function tapeOf(
  layer: NativeRecurrentLayer,
  n: number,
  { begin, end, input }: Omit<Segment, 'tape'>,
  whole: TensorData | null,
): TensorData | null {
  if (whole === null) return elements(dtypeOf(input), layer.tapeLength(n, end - begin));
  const first = layer.tapeLength(n, begin) - layer.tapeLength(n, 0);
  return whole.subarray(first, first + layer.tapeLength(n, end - begin));
}
