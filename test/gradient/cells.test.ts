// LSTM and GRU with every normalisation within them: the first way through time against central differences, all others against the first.
import { type CellNormalization, GRU, type Layer, LSTM, type Placement, type Tensor } from '../../lib/index';
import { native } from '../../lib/native/load';
import { expectClose } from '../helpers/compare';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES } from '../helpers/fixtures';
import { checkGradients, type Differentiated, dot } from '../helpers/gradient-check';

const [CHECKED, ...OTHERS] = ['panels', 'blas', 'single', 'columns', 'lanes'] as const;
const [N, T, I, H, P] = [3, 5, 2, 5, 3];
const eps = 0.01;

const PLACES = (['none', ...CASES.placements.placements] as Placement[]).flatMap((placement) =>
  (placement.includes('preactivation') ? (['joint', 'gate'] as const) : (['joint'] as const)).map((scope) => ({ placement, scope })),
);
const CELL_NORMALIZATIONS: CellNormalization[] = ['none', 'output', 'carried'];

afterEach(() => native().setScanStrategy('auto'));

/** A layer after one pass in both directions: the loss that it differentiated, and each array with its gradient. */
interface Passed {
  loss: () => number;
  arrays: Record<string, Differentiated>;
}

function gradientsOf(layer: Layer): Record<string, Differentiated> {
  return Object.fromEntries(layer.parameters().map((parameter) => [parameter.name, parameter]));
}

function passLstm(layer: LSTM): Passed {
  fillRecurrent(layer);
  const output = layer.projSize ?? H;
  const x = fill('x', [N, T, I]);
  const initialState = { h: fill('h0', [N, output]), c: fill('c0', [N, H]) };
  const gradFinalState = { h: fill('dhT', [N, output]), c: fill('dcT', [N, H]) };
  const dy = fill('dy', [N, T, output]);
  layer.forward(x, { initialState });
  const grad = layer.backward(dy, { gradFinalState });
  const { h, c } = layer.gradInitialState;
  const loss = () => {
    const moved = layer.forward(x, { initialState });
    const final = layer.finalState;
    return dot(moved, dy) + dot(final.h, gradFinalState.h) + dot(final.c, gradFinalState.c);
  };
  const states = { h0: { value: initialState.h, grad: h }, c0: { value: initialState.c, grad: c } };
  return { loss, arrays: { ...gradientsOf(layer), ...states, x: { value: x, grad } } };
}

function passGru(layer: GRU): Passed {
  fillRecurrent(layer);
  const x = fill('x', [N, T, I]);
  const initialState = fill('h0', [N, H]);
  const gradFinalState = fill('dhT', [N, H]);
  const dy = fill('dy', [N, T, H]);
  layer.forward(x, { initialState });
  const grad = layer.backward(dy, { gradFinalState });
  const loss = () => dot(layer.forward(x, { initialState }), dy) + dot(layer.finalState, gradFinalState);
  return { loss, arrays: { ...gradientsOf(layer), h0: { value: initialState, grad: layer.gradInitialState }, x: { value: x, grad } } };
}

/** Central differences see an error of 1e-7; what all other strategies may differ by is the rounding of sums in another order. */
function expectGradients(pass: () => Passed): void {
  native().setScanStrategy(CHECKED);
  const { loss, arrays } = pass();
  checkGradients(loss, arrays);
  for (const strategy of OTHERS) {
    native().setScanStrategy(strategy);
    const other = pass().arrays;
    expect(Object.keys(other)).toEqual(Object.keys(arrays));
    for (const [name, { grad }] of Object.entries(other)) {
      expectClose(grad, arrays[name]?.grad as Tensor, { within: 1e-12, label: `${strategy}: gradient of ${name}` });
    }
  }
}

describe.each(PLACES)('$placement, $scope', ({ placement, scope }) => {
  describe.each(CASES.placements.kinds)('%s', (kind) => {
    const options = { inputSize: I, hiddenSize: H, normalization: { placement, scope, kind, eps }, dtype: 'float64' } as const;

    test.each(CELL_NORMALIZATIONS)('LSTM, cell state %s, with and without projection', (name) => {
      const cellNormalization = { placement: name, kind, eps };
      expectGradients(() => passLstm(new LSTM({ ...options, cellNormalization })));
      expectGradients(() => passLstm(new LSTM({ ...options, cellNormalization, projSize: P, bias: false })));
    });

    test.each([true, false])('GRU, resetAfter %s, with and without biases', (resetAfter) => {
      expectGradients(() => passGru(new GRU({ ...options, resetAfter })));
      expectGradients(() => passGru(new GRU({ ...options, resetAfter, bias: false })));
    });
  });
});
