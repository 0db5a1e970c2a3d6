// Several layers and both directions against central differences.
import { GRU, LSTM, RNN } from '../../lib/index';
import { native } from '../../lib/native/load';
import { fill, fillRecurrent } from '../helpers/fill';
import { checkGradients, dot } from '../helpers/gradient-check';

const [N, T, I, H, P] = [3, 4, 2, 3, 2];
const lengths = [3, 0, 4];
const options = { inputSize: I, hiddenSize: H, dtype: 'float64', numLayers: 2, bidirectional: true } as const;

afterEach(() => native().setScanStrategy('auto'));

describe.each(['panels', 'lanes'])('%s', (strategy) => {
  beforeEach(() => native().setScanStrategy(strategy));

  test.each([
    ['RNN', () => new RNN({ ...options, normalization: { placement: 'hidden', eps: 0.01 } })],
    ['GRU', () => new GRU(options)],
    ['GRU, the last outputs alone, with truncation', () => new GRU({ ...options, returnSequences: false, truncateAfter: T })],
  ])('%s', (_, make) => {
    const layer = make();
    fillRecurrent(layer);
    const x = fill('x', [N, T, I]);
    const initialState = fill('h0', [4, N, H]);
    const gradFinalState = fill('dhT', [4, N, H]);
    const output = layer.forward(x, { initialState, lengths });
    const dy = fill('dy', [...output.shape]);
    const gradInput = layer.backward(dy, { gradFinalState });
    const loss = () => dot(layer.forward(x, { initialState, lengths }), dy) + dot(layer.finalState, gradFinalState);
    const parameters = Object.fromEntries(layer.parameters().map((parameter) => [parameter.name, parameter]));
    checkGradients(loss, {
      ...parameters,
      h0: { value: initialState, grad: layer.gradInitialState },
      x: { value: x, grad: gradInput },
    });
  });

  test('LSTM with a projection', () => {
    const layer = new LSTM({ ...options, projSize: P });
    fillRecurrent(layer);
    const x = fill('x', [N, T, I]);
    const initialState = { h: fill('h0', [4, N, P]), c: fill('c0', [4, N, H]) };
    const gradFinalState = { h: fill('dhT', [4, N, P]), c: fill('dcT', [4, N, H]) };
    const dy = fill('dy', [N, T, 2 * P]);
    layer.forward(x, { initialState, lengths });
    const gradInput = layer.backward(dy, { gradFinalState });
    const { h, c } = layer.gradInitialState;
    const loss = () => {
      const output = layer.forward(x, { initialState, lengths });
      const final = layer.finalState;
      return dot(output, dy) + dot(final.h, gradFinalState.h) + dot(final.c, gradFinalState.c);
    };
    const parameters = Object.fromEntries(layer.parameters().map((parameter) => [parameter.name, parameter]));
    checkGradients(loss, {
      ...parameters,
      h0: { value: initialState.h, grad: h },
      c0: { value: initialState.c, grad: c },
      x: { value: x, grad: gradInput },
    });
  });
});
