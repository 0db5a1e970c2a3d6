// Every placement and kind through every strategy: what the environment's EVENKEEL_SCAN forces, in the suite itself.
import { Generator, RNN, type RNNOptions, Tensor } from '../../lib/index';
import { kindNames, placementNames } from '../../lib/layers/recurrent/normalization';
import { native } from '../../lib/native/load';
import { expectClose } from '../helpers/compare';

afterEach(() => native().setScanStrategy('auto'));

const strategies = ['panels', 'single', 'columns', 'lanes', 'auto'];
const normalizations = placementNames.flatMap((placement) => kindNames.map((kind) => ({ placement, kind })));

/** Output, states and all gradients of a training step, with lengths or without. */
function step(strategy: string, [n, t, inputSize, hiddenSize]: readonly number[], options: Partial<RNNOptions>, lengths?: number[]) {
  native().setScanStrategy(strategy);
  const generator = new Generator(5);
  const random = (...shape: (number | undefined)[]) => Tensor.randn(shape as number[], { dtype: 'float64', generator });
  const rnn = new RNN({ inputSize: inputSize as number, hiddenSize: hiddenSize as number, dtype: 'float64', generator, ...options });
  for (const { name, value } of rnn.parameters()) {
    if (name.startsWith('norm')) for (let i = 0; i < value.size; i++) value.data[i] = (value.data[i] as number) + 0.3 * generator.normal();
  }
  const output = rnn.forward(random(n, t, inputSize), { initialState: random(n, hiddenSize), lengths });
  const gradInput = rnn.backward(random(n, t, hiddenSize), { gradFinalState: random(n, hiddenSize) });
  return [output, rnn.finalState, gradInput, rnn.gradInitialState, ...rnn.parameters().map(({ grad }) => grad)];
}

describe.each(normalizations)('$placement, $kind', (normalization) => {
  test.each([
    [1, 40, 3, 33],
    [3, 9, 5, 17],
    [18, 12, 4, 20],
  ])('N, T, I, H = %i, %i, %i, %i', (...shape) => {
    const [n, t] = shape as unknown as [number, number];
    const cases: [Partial<RNNOptions>, number[]?][] = [
      [{ nonlinearity: 'tanh' }],
      [{ nonlinearity: 'relu', truncateAfter: 5, stateGradientLimit: 0.4 }],
      [{ checkpointing: { every: 4 } }, Array.from({ length: n }, (_, row) => (7 * row) % (t + 1))],
    ];
    for (const [options, lengths] of cases) {
      const expected = step('blas', shape, { normalization, ...options }, lengths);
      for (const strategy of strategies) {
        for (const [index, tensor] of step(strategy, shape, { normalization, ...options }, lengths).entries()) {
          const reference = expected[index] as Tensor;
          const zero = reference.data.every((value) => value === 0);
          expectClose(tensor, reference, { within: 1e-10, zero });
        }
      }
    }
  });
});
