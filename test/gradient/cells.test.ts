// LSTM and GRU against central differences: every normalisation within them, on every way through time.
import { type CellNormalization, GRU, type Layer, LSTM, type Placement, type Tensor } from '../../lib/index';
import { native } from '../../lib/native/load';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES } from '../helpers/fixtures';
import { checkGradients, type Differentiated, dot } from '../helpers/gradient-check';

const STRATEGIES = ['blas', 'panels', 'single', 'columns', 'lanes'];
const [N, T, I, H, P] = [3, 5, 2, 5, 3];
const eps = 0.01;

const PLACES = (['none', ...CASES.placements.placements] as Placement[]).flatMap((placement) =>
  (placement.includes('preactivation') ? (['joint', 'gate'] as const) : (['joint'] as const)).map((scope) => ({ placement, scope })),
);
const CELL_NORMALIZATIONS: CellNormalization[] = ['none', 'output', 'carried'];

afterEach(() => native().setScanStrategy('auto'));

function checkLayer(layer: Layer, loss: () => number, states: Record<string, Differentiated>, x: Tensor, gradInput: Tensor): void {
  const parameters = Object.fromEntries(layer.parameters().map((parameter) => [parameter.name, parameter]));
  checkGradients(loss, { ...parameters, ...states, x: { value: x, grad: gradInput } });
}

function checkLstm(layer: LSTM): void {
  fillRecurrent(layer);
  const output = layer.projSize ?? H;
  const x = fill('x', [N, T, I]);
  const initialState = { h: fill('h0', [N, output]), c: fill('c0', [N, H]) };
  const gradFinalState = { h: fill('dhT', [N, output]), c: fill('dcT', [N, H]) };
  const dy = fill('dy', [N, T, output]);
  layer.forward(x, { initialState });
  const gradInput = layer.backward(dy, { gradFinalState });
  const { h, c } = layer.gradInitialState;
  const loss = () => {
    const moved = layer.forward(x, { initialState });
    const final = layer.finalState;
    return dot(moved, dy) + dot(final.h, gradFinalState.h) + dot(final.c, gradFinalState.c);
  };
  checkLayer(layer, loss, { h0: { value: initialState.h, grad: h }, c0: { value: initialState.c, grad: c } }, x, gradInput);
}

function checkGru(layer: GRU): void {
  fillRecurrent(layer);
  const x = fill('x', [N, T, I]);
  const initialState = fill('h0', [N, H]);
  const gradFinalState = fill('dhT', [N, H]);
  const dy = fill('dy', [N, T, H]);
  layer.forward(x, { initialState });
  const gradInput = layer.backward(dy, { gradFinalState });
  const loss = () => dot(layer.forward(x, { initialState }), dy) + dot(layer.finalState, gradFinalState);
  checkLayer(layer, loss, { h0: { value: initialState, grad: layer.gradInitialState } }, x, gradInput);
}

describe.each(STRATEGIES)('%s', (strategy) => {
  beforeEach(() => native().setScanStrategy(strategy));

  describe.each(PLACES)('$placement, $scope', ({ placement, scope }) => {
    describe.each(CASES.placements.kinds)('%s', (kind) => {
      const options = { inputSize: I, hiddenSize: H, normalization: { placement, scope, kind, eps }, dtype: 'float64' } as const;

      test.each(CELL_NORMALIZATIONS)('LSTM, cell state %s, with and without projection', (name) => {
        const cellNormalization = { placement: name, kind, eps };
        checkLstm(new LSTM({ ...options, cellNormalization }));
        checkLstm(new LSTM({ ...options, cellNormalization, projSize: P, bias: false }));
      });

      test.each([true, false])('GRU, resetAfter %s, with and without biases', (resetAfter) => {
        checkGru(new GRU({ ...options, resetAfter }));
        checkGru(new GRU({ ...options, resetAfter, bias: false }));
      });
    });
  });
});
