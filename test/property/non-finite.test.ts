// NaN and infinity come out of every function of the library, whatever element they stand in: whole vectors, tails and single lanes.
import {
  Adam,
  AdamW,
  AdaptiveGradientClipping,
  AutoClip,
  bceWithLogitsLoss,
  clipGradNorm,
  clipGradValue,
  crossEntropyLoss,
  type DType,
  huberLoss,
  LayerNorm,
  Linear,
  l1Loss,
  mseLoss,
  type Optimizer,
  Parameter,
  type Placement,
  RMSNorm,
  RMSprop,
  RNN,
  SGD,
  Tensor,
  ZClip,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';
import { fill } from '../helpers/fill';

const SIZES = Array.from({ length: 40 }, (_, index) => index + 1);
const DTYPES: DType[] = ['float32', 'float64'];
const ROWS = 3;
const BAD_ROW = 1;

/** Random rows, with `bad` in one place of one of them. */
function rowsWith(bad: number, position: number, size: number, dtype: DType, name = 'x'): Tensor {
  const tensor = fill(name, [ROWS, size], { dtype });
  tensor.data[BAD_ROW * size + position] = bad;
  return tensor;
}

const row = ({ data }: Tensor, index: number, size: number) => [...data.subarray(index * size, (index + 1) * size)];

/** For every size and every position in it. */
function everywhere(check: (size: number, position: number) => void): void {
  for (const size of SIZES) for (let position = 0; position < size; position++) check(size, position);
}

const expectAll = (values: number[], holds: (value: number) => boolean, what: unknown[]) => {
  if (!values.every(holds)) throw new Error(`${what.join(' ')}: got ${values}`);
};

describe.each(DTYPES)('in %s', (dtype) => {
  test.each([
    ['LayerNorm', (size: number) => new LayerNorm({ size, dtype })],
    ['RMSNorm', (size: number) => new RMSNorm({ size, dtype })],
  ])('%s: a NaN makes its row NaN, and no other', (name, make) => {
    everywhere((size, position) => {
      const layer = make(size);
      const output = layer.forward(rowsWith(Number.NaN, position, size, dtype));
      for (let r = 0; r < ROWS; r++) {
        expectAll(row(output, r, size), r === BAD_ROW ? Number.isNaN : Number.isFinite, [name, 'forward', size, position]);
      }
      layer.forward(fill('x', [ROWS, size], { dtype }));
      const dx = layer.backward(rowsWith(Number.NaN, position, size, dtype, 'dy'));
      for (let r = 0; r < ROWS; r++) {
        expectAll(row(dx, r, size), r === BAD_ROW ? Number.isNaN : Number.isFinite, [name, 'backward', size, position]);
      }
      for (const { grad } of layer.parameters()) {
        for (const [i, value] of grad.data.entries()) expectAll([value], i === position ? Number.isNaN : Number.isFinite, [name, size]);
      }
    });
  });

  test('normalised rows that hold an infinity are not finite', () => {
    for (const bad of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      everywhere((size, position) => {
        const layer = row(new LayerNorm({ size, dtype }).forward(rowsWith(bad, position, size, dtype)), BAD_ROW, size);
        expectAll(layer, Number.isNaN, ['LayerNorm', size, position, bad]);
        const rms = row(new RMSNorm({ size, dtype }).forward(rowsWith(bad, position, size, dtype)), BAD_ROW, size);
        expectAll([rms[position] as number], Number.isNaN, ['RMSNorm', size, position, bad]);
      });
    }
  });

  test('losses and their gradients', () => {
    everywhere((size, position) => {
      for (const label of new Set([0, position, size - 1])) {
        const { value, grad } = crossEntropyLoss(rowsWith(Number.NaN, position, size, dtype), [0, label, 0]);
        expectAll([value, ...row(grad, BAD_ROW, size)], Number.isNaN, ['crossEntropyLoss', size, position, label]);
        const infinite = crossEntropyLoss(rowsWith(Number.POSITIVE_INFINITY, position, size, dtype), [0, label, 0]);
        expectAll([infinite.value], Number.isNaN, ['crossEntropyLoss of infinity', size, position, label]);
      }
      const mse = mseLoss(rowsWith(Number.NaN, position, size, dtype), fill('y', [ROWS, size], { dtype }));
      expectAll([mse.value, mse.grad.data[size + position] as number], Number.isNaN, ['mseLoss', size, position]);
      for (const loss of [l1Loss, huberLoss, bceWithLogitsLoss]) {
        const { value, grad, values } = loss(rowsWith(Number.NaN, position, size, dtype), fill('y', [ROWS, size], { dtype }), {
          reduction: 'none',
        });
        const places = [grad, values].map((tensor) => tensor?.data[size + position] as number);
        expectAll([value, ...places], Number.isNaN, [loss.name, size, position]);
      }
      const weighted = crossEntropyLoss(rowsWith(Number.NaN, position, size, dtype), [0, position, 0], { labelSmoothing: 0.1 });
      expectAll([weighted.value, ...row(weighted.grad, BAD_ROW, size)], Number.isNaN, ['crossEntropyLoss, smoothed', size, position]);
      const infinite = mseLoss(rowsWith(Number.NEGATIVE_INFINITY, position, size, dtype), fill('y', [ROWS, size], { dtype }));
      expect([infinite.value, infinite.grad.data[size + position]]).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    });
  });

  test('norms and clipping', () => {
    const gradient = (bad: number, size: number, position: number) => {
      const grad = fill('g', [size], { dtype });
      grad.data[position] = bad;
      return [new Parameter('w', Tensor.zeros([size], { dtype }), grad)];
    };
    everywhere((size, position) => {
      for (const normType of [1, 2, Number.POSITIVE_INFINITY] as const) {
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
          const norm = clipGradNorm(gradient(bad, size, position), { maxNorm: 1, normType, nonFinite: 'skip' });
          expectAll([norm], (value) => Object.is(value, bad), ['clipGradNorm', size, position, normType]);
        }
        const spread = gradient(Number.NaN, size, position);
        clipGradNorm(spread, { maxNorm: 1, normType, nonFinite: 'propagate' });
        expectAll([...(spread[0]?.grad.data ?? [])], Number.isNaN, ['propagate', size, position, normType]);
      }
      expectRefused(() => clipGradValue(gradient(Number.NaN, size, position), { clipValue: 1 }), 'ERR_NON_FINITE', 'holds a NaN');
      // These look at the same norms: two places are enough.
      if (position !== 0 && position !== size - 1) return;
      for (const clipper of [new AutoClip(), new ZClip(), new AdaptiveGradientClipping()]) {
        expectRefused(() => clipper.clip(gradient(Number.NaN, size, position)), 'ERR_NON_FINITE', '"w"');
      }
    });
  });

  const optimizers: [string, (parameters: Parameter[]) => Optimizer][] = [
    ['SGD', (list) => new SGD(list, { learningRate: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.1 })],
    ['SGD, Nesterov', (list) => new SGD(list, { learningRate: 0.1, momentum: 0.9, nesterov: true, maximize: true })],
    ['Adam', (list) => new Adam(list, { amsgrad: true })],
    ['AdamW', (list) => new AdamW(list, { betas: [0.2, 0.9], maximize: true })],
    ['RMSprop', (list) => new RMSprop(list, { centered: true, momentum: 0.9 })],
  ];
  test.each(optimizers)('%s: the element of a NaN is NaN from then on, and no other', (name, make) => {
    everywhere((size, position) => {
      for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY]) {
        const grad = fill('g', [size], { dtype });
        const parameter = new Parameter('w', fill('w', [size], { dtype }), grad);
        const optimizer = make([parameter]);
        const good = grad.data[position] as number;
        grad.data[position] = bad;
        optimizer.step();
        grad.data[position] = good;
        optimizer.step();
        for (const [i, value] of parameter.value.data.entries()) {
          expectAll([value], i === position ? (x) => !Number.isFinite(x) : Number.isFinite, [name, size, position, bad]);
        }
        if (!Number.isNaN(bad)) continue;
        for (const [key, state] of Object.entries(optimizer.stateDict())) {
          if (state.size === size && key.startsWith('0.')) expectAll([state.data[position] as number], Number.isNaN, [name, key, size]);
        }
      }
    });
  });

  test('Linear', () => {
    everywhere((size, position) => {
      const layer = new Linear({ inputSize: size, outputSize: 5, dtype });
      const output = layer.forward(rowsWith(Number.NaN, position, size, dtype));
      for (let r = 0; r < ROWS; r++) expectAll(row(output, r, 5), r === BAD_ROW ? Number.isNaN : Number.isFinite, ['Linear', size]);
      const wide = new Linear({ inputSize: 4, outputSize: size, dtype });
      wide.forward(fill('x', [ROWS, 4], { dtype }));
      const dx = wide.backward(rowsWith(Number.NaN, position, size, dtype));
      for (let r = 0; r < ROWS; r++) expectAll(row(dx, r, 4), r === BAD_ROW ? Number.isNaN : Number.isFinite, ['Linear backward', size]);
    });
  });

  const placements: Placement[] = ['none', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];
  const recurrent = placements.flatMap((placement) =>
    (['layer', 'rms'] as const).flatMap((kind) => (['tanh', 'relu'] as const).map((phi) => [placement, kind, phi] as const)),
  );
  test.each(recurrent)('RNN, %s, %s, %s: from a NaN on, its sequence is NaN, and no other', (placement, kind, nonlinearity) => {
    const [n, t, i] = [3, 4, 3];
    for (const h of [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40]) {
      const layer = new RNN({ inputSize: i, hiddenSize: h, nonlinearity, dtype, normalization: { placement, kind } });
      const input = fill('x', [n, t, i], { dtype });
      input.data[(1 * t + 2) * i + (h % i)] = Number.NaN;
      const output = layer.forward(input);
      for (let step = 0; step < n * t; step++) {
        expectAll(row(output, step, h), step === t + 2 || step === t + 3 ? Number.isNaN : Number.isFinite, ['forward', h, step]);
      }
      if (nonlinearity === 'relu') continue; // where a unit is off, nothing comes back, not even a NaN
      layer.forward(fill('x', [n, t, i], { dtype }));
      const gradOutput = fill('dy', [n, t, h], { dtype });
      gradOutput.data[(1 * t + 2) * h + (h >> 1)] = Number.NaN;
      const dx = layer.backward(gradOutput);
      for (let step = 0; step < n * t; step++) {
        expectAll(row(dx, step, i), step >= t && step <= t + 2 ? Number.isNaN : Number.isFinite, ['backward', h, step]);
      }
      const weights = layer.parameters().filter(({ name }) => name.startsWith('weight_ih'));
      for (const { name, grad } of weights) expect({ h, name, isNaN: [...grad.data].some(Number.isNaN) }).toEqual({ h, name, isNaN: true });
    }
  });
});
