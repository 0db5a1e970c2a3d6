// Losses with their options, and embeddings trained with dense and with sparse gradients, against PyTorch.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Adam,
  bceWithLogitsLoss,
  crossEntropyLoss,
  Embedding,
  huberLoss,
  type LossOptions,
  type LossResult,
  l1Loss,
  mseLoss,
  SGD,
  Tensor,
} from '../../lib/index';
import { bits, fill } from '../helpers/fill';
import { Goldens, numbered, PRECISIONS } from '../helpers/fixtures';

interface Cases {
  pointLosses: (LossOptions & {
    loss: 'mse' | 'l1' | 'huber' | 'bce';
    shape: number[];
    offset?: number;
    delta?: number;
    posWeight?: number[];
  })[];
  crossEntropy: (LossOptions & {
    shape: number[];
    offset?: number;
    ignoreIndex?: number;
    classWeights?: number[];
    labelSmoothing?: number;
  })[];
  embedding: { optimizer: 'SGD' | 'Adam'; options: { learningRate: number }; sparse?: boolean; paddingIndex?: number }[];
}

const CASES: Cases = JSON.parse(readFileSync(join(__dirname, '../fixtures/symbols.json'), 'utf8'));
const goldens = new Goldens('symbols');
const LOSSES = { mse: mseLoss, l1: l1Loss, huber: huberLoss, bce: bceWithLogitsLoss };
/** Steps that do not count hold what must not matter. */
function spoil(tensor: Tensor, lengths: LossOptions['lengths']): Tensor {
  const [, steps, width] = tensor.shape as [number, number, number];
  for (const [row, length] of (lengths ?? []).entries()) {
    tensor.data.fill(Number.NaN, (row * steps + length) * width, (row + 1) * steps * width);
  }
  return tensor;
}

function expectLoss(prefix: string, { value, grad, values }: LossResult, within: number, reduction: string | undefined): void {
  goldens.expect(`${prefix}/value`, value, { within });
  goldens.expect(`${prefix}/grad`, grad, { within });
  expect(values !== undefined).toBe(reduction === 'none');
  if (values !== undefined) goldens.expect(`${prefix}/values`, values, { within });
}

describe.each(PRECISIONS)('in $dtype', ({ dtype, within: loose }) => {
  const within = dtype === 'float64' ? 1e-12 : loose;

  test.each(numbered(CASES.pointLosses))('%s', (_, index, { loss, shape, offset = 0, ...options }) => {
    const prefix = `point/${index}`;
    const output = spoil(fill(`${prefix}/output`, shape, { offset, scale: 4, dtype }), options.lengths);
    const target = fill(`${prefix}/target`, shape, loss === 'bce' ? { offset: 0.5, scale: 0.5, dtype } : { scale: 4, dtype });
    expectLoss(prefix, LOSSES[loss](output, spoil(target, options.lengths), options), within, options.reduction);
  });

  test.each(numbered(CASES.crossEntropy))('crossEntropyLoss %s', (_, index, { shape, offset = 0, ...options }) => {
    const prefix = `crossEntropy/${index}`;
    const classes = shape.at(-1) as number;
    const ignored = options.ignoreIndex ?? -100;
    const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const labels = Int32Array.from(
      bits(`${prefix}/labels`, rows),
      (word) => word % (classes + (ignored < 0 && options.ignoreIndex !== undefined ? 1 : 0)),
    );
    const marked = options.ignoreIndex === undefined ? labels : labels.map((label) => (label === classes ? ignored : label));
    const logits = spoil(fill(`${prefix}/logits`, shape, { offset, scale: 4, dtype }), options.lengths);
    expectLoss(prefix, crossEntropyLoss(logits, marked, options), within, options.reduction);
  });
});

test.each(numbered(CASES.embedding))('an embedding trained with %s', (_, index, { optimizer: kind, options, sparse, paddingIndex }) => {
  const prefix = `embedding/${index}`;
  const [vocabularySize, embeddingSize] = [11, 5];
  const layer = new Embedding({ vocabularySize, embeddingSize, sparse, paddingIndex, dtype: 'float64' });
  layer.loadStateDict({ weight: fill(`${prefix}/weight`, [vocabularySize, embeddingSize]) });
  const optimizer = kind === 'SGD' ? new SGD(layer.parameters(), options) : new Adam(layer.parameters(), options);
  const history: number[] = [];
  for (let step = 0; step < 10; step++) {
    const symbols = Float64Array.from(bits(`${prefix}/${step}/symbols`, 12), (word) => word % (vocabularySize - 2));
    optimizer.zeroGrad();
    layer.forward(new Tensor(symbols, [4, 3]));
    layer.backward(fill(`${prefix}/${step}/dy`, [4, 3, embeddingSize]), { inputGradient: false });
    optimizer.step();
    history.push(...(layer.stateDict().weight as Tensor).data);
  }
  goldens.expect(`${prefix}/history`, new Tensor(Float64Array.from(history), [10, vocabularySize, embeddingSize]), { within: 1e-12 });
  goldens.expect(`${prefix}/grad`, layer.parameters()[0]?.grad as Tensor, { within: 1e-12 });
});
