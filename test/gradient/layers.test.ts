import { Activation, type Layer, LayerNorm, Linear, RMSNorm, RNN, type Tensor } from '../../lib/index';
import { fanInScale, fill } from '../helpers/fill';
import { checkGradients, type Differentiated, dot } from '../helpers/gradient-check';

const dtype = 'float64';

function parametersOf(layer: Layer): Record<string, Differentiated> {
  return Object.fromEntries(layer.parameters().map((parameter) => [parameter.name, parameter]));
}

describe.each(['tanh', 'relu'] as const)('RNN (%s): central differences', (nonlinearity) => {
  test.each([
    [1, 1, 1, 1],
    [3, 5, 4, 7],
    [2, 9, 1, 5],
    [1, 4, 17, 19],
  ])('N %i, T %i, I %i, H %i', (n, t, i, h) => {
    const layer = new RNN({ inputSize: i, hiddenSize: h, nonlinearity, dtype });
    layer.loadStateDict({
      weight_ih_l0: fill('weightIh', [h, i], { scale: fanInScale(i) }),
      weight_hh_l0: fill('weightHh', [h, h], { scale: fanInScale(h) }),
      bias_ih_l0: fill('biasIh', [h], { offset: 0.25, scale: 0.5 }),
      bias_hh_l0: fill('biasHh', [h], { offset: 0.25, scale: 0.5 }),
    });
    const x = fill('x', [n, t, i]);
    const initialState = fill('h0', [n, h]);
    const dy = fill('dy', [n, t, h]);

    const output = layer.forward(x, { initialState });
    const gradInput = layer.backward(dy);
    const active = activePattern(output);
    checkGradients(
      () => {
        const moved = layer.forward(x, { initialState });
        // Differences across the kink of relu would say nothing; the fills are chosen so that none is crossed.
        if (nonlinearity === 'relu') expect(activePattern(moved)).toBe(active);
        return dot(moved, dy);
      },
      { ...parametersOf(layer), x: { value: x, grad: gradInput }, h0: { value: initialState, grad: layer.gradInitialState } },
    );
  });
});

/** Which units are above zero, as a string of 0 and 1. */
function activePattern(output: Tensor): string {
  return Array.from(output.data, (value) => (value > 0 ? 1 : 0)).join('');
}

describe('layers over rows: central differences', () => {
  test.each<[string, Layer, number[]]>([
    ['LayerNorm', new LayerNorm({ size: 7, dtype }), [3, 7]],
    ['LayerNorm of two features', new LayerNorm({ size: 2, eps: 0.1, dtype }), [5, 2]],
    ['LayerNorm in three dimensions', new LayerNorm({ size: 19, eps: 1e-2, dtype }), [2, 3, 19]],
    ['LayerNorm, not affine', new LayerNorm({ size: 5, affine: false, dtype }), [4, 5]],
    ['RMSNorm', new RMSNorm({ size: 7, dtype }), [3, 7]],
    ['RMSNorm of one feature', new RMSNorm({ size: 1, eps: 0.1, dtype }), [5, 1]],
    ['RMSNorm in three dimensions', new RMSNorm({ size: 19, eps: 1e-2, dtype }), [2, 3, 19]],
    ['RMSNorm, not affine', new RMSNorm({ size: 5, affine: false, dtype }), [4, 5]],
    ['RNN without biases', new RNN({ inputSize: 4, hiddenSize: 6, bias: false, dtype }), [3, 5, 4]],
    ['Linear', new Linear({ inputSize: 5, outputSize: 3, dtype }), [7, 5]],
    ['Linear in three dimensions', new Linear({ inputSize: 3, outputSize: 11, dtype }), [2, 5, 3]],
    ['relu', new Activation({ kind: 'relu' }), [4, 5]],
    ['tanh', new Activation({ kind: 'tanh' }), [7]],
    ['sigmoid', new Activation({ kind: 'sigmoid' }), [3, 1]],
    ['softmax', new Activation({ kind: 'softmax' }), [2, 3, 5]],
    ['Linear without bias', new Linear({ inputSize: 1, outputSize: 1, bias: false, dtype }), [1, 1]],
  ])('%s', (_, layer, shape) => {
    for (const { name, value } of layer.parameters())
      value.data.set(fill(name, value.shape, { offset: name === 'weight' ? 1 : 0, scale: 0.5 }).data);
    const x = fill('x', shape);
    const output = layer.forward(x);
    const dy = fill('dy', output.shape);
    const gradInput = layer.backward(dy);
    checkGradients(() => dot(layer.forward(x), dy), { ...parametersOf(layer), x: { value: x, grad: gradInput } });
  });
});
