/** Models and batches that the tests of fit share. */
import { type Batch, type Layer, Linear, Sequential, SGD, Tensor } from '../../lib/index';

export const float64 = { dtype: 'float64' } as const;

export const values = (model: Layer) => model.parameters().map(({ value }) => [...value.data]);

/** A model y = w·x, whose gradient is easily made to be anything. */
export function makeScalar(w = 1) {
  const model = new Sequential({ linear: new Linear({ inputSize: 1, outputSize: 1, bias: false, dtype: 'float64' }) });
  model.loadStateDict({ 'linear.weight': Tensor.from([[w]], float64) });
  return { model, optimizer: new SGD(model.parameters(), { learningRate: 0.1 }) };
}

export const scalarBatch = (x: number, y = 0): Batch => ({ input: Tensor.from([[x]], float64), target: Tensor.from([[y]], float64) });
