import { type Placement, RNN, type RNNOptions } from '../../lib/index';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES, Goldens } from '../helpers/fixtures';

const goldens = new Goldens('state-gradients');
const { placements, eps, sizes, limit } = CASES.stateGradients;
const [n, t, inputSize, hiddenSize] = sizes;
const dtype = 'float64';

/** Forward and a recorded backward pass. */
function run(placement: Placement, loss: 'last' | 'all', options: Partial<RNNOptions> = {}) {
  const layer = new RNN({ inputSize, hiddenSize, dtype, normalization: { placement, eps }, ...options });
  layer.recordStateGradients = true;
  fillRecurrent(layer, `${placement}/`);
  layer.forward(fill(`${placement}/x`, [n, t, inputSize]), { initialState: fill(`${placement}/h0`, [n, hiddenSize]) });
  const gradOutput = fill(`${placement}/dy`, [n, t, hiddenSize]);
  if (loss === 'last') {
    for (let row = 0; row < n; row++) gradOutput.data.fill(0, row * t * hiddenSize, ((row + 1) * t - 1) * hiddenSize);
  }
  return { layer, gradInput: layer.backward(gradOutput) };
}

describe.each(placements)('%s: ln‖∂L/∂h_t‖ agrees with PyTorch', (placement) => {
  test.each(['last', 'all'] as const)('loss on %s of the steps', (loss) => {
    const { layer } = run(placement, loss);
    expect(layer.limitedStateGradients).toBe(0);
    expectWithin(layer.stateGradientLogNorms.data, goldens.get(`${placement}/${loss}/logNorms`).data, 1e-9);
  });

  test('and every gradient when it is limited', () => {
    const { layer, gradInput } = run(placement, 'all', { stateGradientLimit: limit });
    const prefix = `${placement}/all/limited`;
    expectWithin(layer.stateGradientLogNorms.data, goldens.get(`${prefix}/logNorms`).data, 1e-9);
    const within = 1e-9;
    goldens.expect(`${prefix}/count`, layer.limitedStateGradients, { within: 0 });
    goldens.expect(`${prefix}/dx`, gradInput, { within });
    goldens.expect(`${prefix}/dh0`, layer.gradInitialState, { within });
    for (const { name, grad } of layer.parameters()) goldens.expect(`${prefix}/${name}`, grad, { within });
  });
});

/** Absolute, since these are logarithms. */
function expectWithin(actual: ArrayLike<number>, expected: ArrayLike<number>, within: number): void {
  expect(actual).toHaveLength(expected.length);
  const worst = Math.max(...Array.from(expected, (value, index) => Math.abs((actual[index] as number) - value)));
  expect(worst).toBeLessThan(within);
}
