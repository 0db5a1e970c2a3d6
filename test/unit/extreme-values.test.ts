// Values at the ends of float32's and float64's range, against arithmetic in which they are in the middle of it.
import {
  Adam,
  AdamW,
  AdaptiveGradientClipping,
  clipGradNorm,
  clipGradValue,
  type DType,
  LayerNorm,
  Parameter,
  RMSNorm,
  RMSprop,
  RNN,
  SGD,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { fill } from '../helpers/fill';

const DTYPES: { dtype: DType; powers: number[]; within: number }[] = [
  { dtype: 'float32', powers: [60, 64, 100, 124, 126, 127], within: 1e-5 },
  { dtype: 'float64', powers: [500, 512, 1000, 1020, 1022, 1023], within: 1e-12 },
];

describe.each(DTYPES)('rows near the end of $dtype', ({ dtype, powers, within }) => {
  // One element near the end; a gradient by γ that a wrong 1/σ would change.
  const scaled = (size: number, power: number) => {
    const tensor = fill(`row ${size}`, [3, size], { dtype });
    tensor.data.forEach((value, i) => {
      tensor.data[i] = value * 2 ** power;
    });
    return tensor;
  };

  test.each([
    ['LayerNorm', (size: number) => new LayerNorm({ size, dtype, eps: 1e-37 })],
    ['RMSNorm', (size: number) => new RMSNorm({ size, dtype, eps: 1e-37 })],
  ])('%s gives what it gives in the middle', (_, make) => {
    for (const size of [2, 3, 16, 17, 40, 257]) {
      const run = (power: number) => {
        const layer = make(size);
        for (const { name, value } of layer.parameters()) value.data.set(fill(name, [size], { offset: 1, scale: 0.5 }).data);
        const output = layer.forward(scaled(size, power));
        const gradOutput = fill('dy', [3, size], { dtype });
        gradOutput.data.forEach((value, i) => {
          gradOutput.data[i] = value * 2 ** Math.max(0, power - 30);
        });
        const dx = layer.backward(gradOutput);
        const unscaled = dx.data.map((value) => value * 2 ** (power - Math.max(0, power - 30)));
        return { output, dx: unscaled, dweight: layer.parameters()[0]?.grad.data.map((value) => value / 2 ** Math.max(0, power - 30)) };
      };
      const middle = run(0);
      for (const power of powers) {
        const result = run(power);
        expectClose(result.output, middle.output, { within, label: `output, ${size} of 2^${power}` });
        // Of two elements the gradient vanishes.
        if (size > 2) expectClose(result.dx, middle.dx, { within: 100 * within, label: `∂L/∂x, ${size} of 2^${power}` });
        expectClose(result.dweight as Float64Array, middle.dweight as Float64Array, { within, label: `∂L/∂γ, ${size} of 2^${power}` });
      }
    }
  });

  test('a row of the largest number is constant, and gives β', () => {
    const largest = dtype === 'float32' ? (2 - 2 ** -23) * 2 ** 127 : Number.MAX_VALUE;
    for (const size of [1, 2, 17, 300]) {
      const layer = new LayerNorm({ size, dtype });
      const constant = Tensor.zeros([2, size], { dtype });
      constant.data.fill(largest);
      expect([...layer.forward(constant).data].every((value) => value === 0)).toBe(true);
    }
  });
});

test('an RNN whose norms see large rows gives what it gives for small ones', () => {
  for (const placement of ['preactivation', 'split-preactivation'] as const) {
    const run = (scale: number) => {
      const layer = new RNN({ inputSize: 2, hiddenSize: 5, normalization: { placement, eps: 1e-37 } });
      for (const { name, value } of layer.parameters()) {
        const by = name === 'weight_ih_l0' || (placement === 'preactivation' && name === 'weight_hh_l0') ? scale : 1;
        const isBias = name.startsWith('bias');
        value.data.set(fill(name, value.shape).data.map((x) => (isBias ? 0 : x * by)));
      }
      return layer.forward(fill('x', [2, 6, 2], { dtype: 'float32' }));
    };
    expectClose(run(2 ** 80), run(1), { within: 1e-5 });
  }
});

test('squares that underflow count where eps is as small', () => {
  const row = [1, -2, 3, 0.5].map((x) => x * 2 ** -62);
  const [layer, exact] = (['float32', 'float64'] as const).map((dtype) =>
    new LayerNorm({ size: 4, eps: 1e-37, dtype }).forward(Tensor.from([row], { dtype })),
  ) as [Tensor, Tensor];
  expectClose(layer.data, exact.data, { within: 1e-6 });
});

test('LayerNorm of constant rows: β exactly, and no gradient where ∂L/∂y is constant too', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const size of [1, 2, 3, 7, 10, 64, 257, 29190]) {
      for (const eps of [1e-5, 1e-12]) {
        const layer = new LayerNorm({ size, eps, dtype });
        const [x, dy] = [-3246.5458984375, 0.7].map((value) => new Tensor(Tensor.zeros([size], { dtype }).data.fill(value), [1, size]));
        expect([...layer.forward(x as Tensor).data].every((value) => value === 0)).toBe(true);
        expect([...layer.backward(dy as Tensor).data].every((value) => value === 0)).toBe(true);
        expect(layer.parameters()[1]?.grad.data[0]).toBe(dy?.data[0]);
      }
    }
  }
});

describe('clipping by factors that the type cannot hold', () => {
  const huge = (value: number, dtype: DType = 'float32') => [
    new Parameter('w', Tensor.zeros([1, 2], { dtype }), Tensor.from([[value, -value]], { dtype })),
  ];
  test.each<[number, number, DType]>([
    [3e38, 1, 'float32'],
    [1e38, 1e-3, 'float32'],
    [1e30, 1e-20, 'float32'],
    [1e250, 1e-100, 'float64'],
    [1e300, 1e-20, 'float64'],
  ])('gradients of %d clipped to %d in %s keep their direction', (value, maxNorm, dtype) => {
    const list = huge(value, dtype);
    clipGradNorm(list, { maxNorm });
    expectClose([...(list[0] as Parameter).grad.data], [maxNorm * Math.SQRT1_2, -maxNorm * Math.SQRT1_2], { within: 1e-6 });
  });

  test('adaptive clipping, and a limit for each element', () => {
    const list = huge(1e36);
    new AdaptiveGradientClipping().clip(list);
    expectClose([...(list[0] as Parameter).grad.data], [1e-5 * Math.SQRT1_2, -1e-5 * Math.SQRT1_2], { within: 1e-6 });
    const limited = huge(1);
    clipGradValue(limited, { clipValue: 1e-40 });
    expect([...(limited[0] as Parameter).grad.data]).toEqual([Math.fround(1e-40), -Math.fround(1e-40)]);
  });
});

describe('hyperparameters that float32 does not hold', () => {
  const still = () => new Parameter('w', Tensor.from([1, 1]), Tensor.from([0, 1]));
  test('a gradient of zero moves nothing, whatever eps', () => {
    for (const eps of [0, 1e-46, 1e-300]) {
      for (const make of [
        (list: Parameter[]) => new Adam(list, { eps, amsgrad: true }),
        (list: Parameter[]) => new AdamW(list, { eps, weightDecay: 0 }),
        (list: Parameter[]) => new RMSprop(list, { eps }),
        (list: Parameter[]) => new RMSprop(list, { eps, centered: true }),
      ]) {
        const parameter = still();
        make([parameter]).step();
        expect(parameter.value.data[0]).toBe(1);
        expect(Number.isFinite(parameter.value.data[1])).toBe(true);
      }
    }
  });

  test('what it would take for infinity is refused', () => {
    const list = () => [still()];
    expectRefused(() => new SGD(list(), { learningRate: 1e39 }), 'ERR_OPTION', 'learningRate');
    expectRefused(() => new SGD(list(), { learningRate: 1, momentum: 1e39 }), 'ERR_OPTION', 'momentum');
    expectRefused(() => new Adam(list(), { eps: 1e39 }), 'ERR_OPTION', 'eps');
    expectRefused(() => new AdamW(list(), { weightDecay: 1e39 }), 'ERR_OPTION', 'weightDecay');
    expectRefused(() => new LayerNorm({ size: 2, eps: 1e39 }), 'ERR_OPTION', 'eps');
    expectRefused(() => new RMSNorm({ size: 2, eps: 1e39 }), 'ERR_OPTION', 'eps');
    expectRefused(
      () => new RNN({ inputSize: 1, hiddenSize: 1, normalization: { placement: 'hidden', eps: 1e39 } }),
      'ERR_OPTION',
      'normalization.eps',
    );
  });
});

test('Adam with a small β₁ takes a small gradient after a large one', () => {
  for (const [dtype, large] of [
    ['float32', 1e8],
    ['float64', 1e17],
  ] as const) {
    const parameter = new Parameter('w', Tensor.zeros([1], { dtype }));
    const optimizer = new Adam([parameter], { betas: [0, 0.9] });
    for (const gradient of [large, 1]) {
      parameter.grad.data[0] = gradient;
      optimizer.step();
    }
    expect(optimizer.stateDict()['0.w.exp_avg']?.toArray()).toEqual([1]);
  }
});
