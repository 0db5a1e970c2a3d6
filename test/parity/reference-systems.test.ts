import { Adam, type DType, LayerNorm, mseLoss, RNN, Sequential, Tensor, fit as train } from '../../lib/index';
import { CASES, Goldens } from '../helpers/fixtures';

const goldens = new Goldens('reference');
const STEPS = 100;

describe.each<{ dtype: DType; within: number }>([
  { dtype: 'float64', within: 1e-9 },
  { dtype: 'float32', within: 1e-4 },
])('100 Adam steps in $dtype', ({ dtype, within }) => {
  test.each(CASES.reference)('$name: loss and gradient norm agree with PyTorch', async ({ name, layerNorm, maxNorm }) => {
    const rnn = new RNN({ inputSize: 10, hiddenSize: 20, dtype });
    rnn.loadStateDict(Object.fromEntries(Object.keys(rnn.stateDict()).map((key) => [key, golden(`rnn.${key}`, dtype)])));
    const model = new Sequential({
      ...(layerNorm === 'before' && { ln: new LayerNorm({ size: 10, dtype }) }),
      rnn,
      ...(layerNorm === 'after' && { ln: new LayerNorm({ size: 20, dtype }) }),
    });

    const history = await train(model, [{ input: golden('input', dtype), target: golden('target', dtype) }], {
      loss: mseLoss,
      optimizer: new Adam(model.parameters(), { learningRate: 1e-3 }),
      clip: maxNorm === undefined ? undefined : { maxNorm },
      epochs: STEPS,
    });

    goldens.expect(`${name}/loss`, new Tensor(Float64Array.from(history.loss), [STEPS]), { within });
    goldens.expect(`${name}/gradNorm`, new Tensor(Float64Array.from(history.gradNorm), [STEPS]), { within });
    const threshold = maxNorm ?? Number.POSITIVE_INFINITY;
    expect(history.clipped).toEqual(Array.from(goldens.get(`${name}/gradNorm`).data, (norm) => norm > threshold));
  });
});

/** A golden in another element type; these are float32 and exact in both. */
function golden(key: string, dtype: DType): Tensor {
  const { data, shape } = goldens.get(key);
  return new Tensor(dtype === 'float32' ? Float32Array.from(data) : Float64Array.from(data), shape);
}
