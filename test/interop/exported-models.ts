/** Models of everything that toOnnx writes: each comes back in to-onnx.test.ts, and fixtures/export_onnx.cjs writes them for ONNX Runtime. */
import {
  Activation,
  Embedding,
  Generator,
  GRU,
  type GRUOptions,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  LSTM,
  type LSTMOptions,
  RMSNorm,
  RNN,
  type RNNOptions,
  Sequential,
  Tensor,
} from '../../lib/index';

interface Exported {
  readonly name: string;
  readonly make: () => Layer;
  /** of three sequences of at most five steps */
  readonly lengths?: readonly number[];
}

const LENGTHS = [5, 0, 3];
const sizes = { inputSize: 3, hiddenSize: 4 };
type Cell = 'rnn' | 'gru' | 'lstm';

/** Weights that are not small, and norms that are not 1 and 0: what is left out, or in another order, shows. */
function filled(model: Layer, seed: number): Layer {
  const generator = new Generator(seed);
  for (const { value } of model.parameters())
    for (let i = 0; i < value.size; i++) value.data[i] = Math.fround(0.6 * generator.normal() + (value.shape.length === 1 ? 0.4 : 0));
  return model;
}

const CELLS: Record<Cell, (options: Partial<Omit<RNNOptions & GRUOptions, 'zoneout'> & LSTMOptions>) => Layer> = {
  rnn: (options) => new RNN({ ...sizes, ...options } as RNNOptions),
  gru: (options) => new GRU({ ...sizes, ...options } as GRUOptions),
  lstm: (options) => new LSTM({ ...sizes, ...options } as LSTMOptions),
};

/** Every cell × layers × directions × lengths, and every normalisation, projection and zoneout. */
export function exportedModels(): Exported[] {
  const models: Exported[] = [];
  const add = (name: string, make: () => Layer) => {
    const seed = models.length;
    models.push(
      { name, make: () => filled(make(), seed) },
      { name: `${name}, lengths`, make: () => filled(make(), seed), lengths: LENGTHS },
    );
  };
  for (const cell of Object.keys(CELLS) as Cell[]) {
    for (const numLayers of [1, 2, 3]) {
      for (const bidirectional of [false, true])
        add(`${cell} ${numLayers} ${bidirectional ? 'both' : 'one'}`, () => CELLS[cell]({ numLayers, bidirectional }));
    }
    add(`${cell} without biases, its last output`, () =>
      CELLS[cell]({ bias: false, bidirectional: true, numLayers: 2, returnSequences: false }),
    );
    for (const placement of ['preactivation', 'split-preactivation', 'recurrent-input', 'hidden'] as const) {
      add(`${cell} ${placement}`, () => CELLS[cell]({ normalization: placement }));
      add(`${cell} ${placement} rms, by gate, in a stack of both directions`, () =>
        CELLS[cell]({
          normalization: { placement, kind: 'rms', scope: 'gate', eps: 0.01 },
          numLayers: 2,
          bidirectional: true,
          bias: false,
        }),
      );
    }
    add(`${cell} zoneout, its last output`, () => CELLS[cell]({ zoneout: 0.25, returnSequences: false }));
  }
  add('rnn relu', () => CELLS.rnn({ nonlinearity: 'relu' }));
  add('gru that resets before its product', () => CELLS.gru({ resetAfter: false }));
  for (const placement of ['preactivation', 'split-preactivation', 'recurrent-input'] as const) {
    add(`gru that resets before its product, ${placement}`, () =>
      CELLS.gru({ resetAfter: false, normalization: placement, bidirectional: true }),
    );
  }
  for (const cellNormalization of ['output', 'carried'] as const) {
    add(`lstm ${cellNormalization}`, () =>
      CELLS.lstm({ cellNormalization: { placement: cellNormalization, kind: cellNormalization === 'output' ? 'layer' : 'rms' } }),
    );
  }
  add('lstm with a projection', () => CELLS.lstm({ projSize: 2, numLayers: 2, bidirectional: true }));
  add('lstm with all', () =>
    CELLS.lstm({
      projSize: 2,
      normalization: 'split-preactivation',
      cellNormalization: 'carried',
      zoneout: { hidden: 0.1, cell: 0.3 },
      returnSequences: false,
      bidirectional: true,
    }),
  );
  add(
    'symbols to probabilities',
    () =>
      new Sequential({
        embedding: new Embedding({ vocabularySize: 7, embeddingSize: 3 }),
        norm: new LayerNorm({ size: 3, eps: 1e-3 }),
        rnn: new GRU(sizes),
        last: new LastStep(),
        rms: new RMSNorm({ size: 4 }),
        hidden: new Linear({ inputSize: 4, outputSize: 5 }),
        relu: new Activation({ kind: 'relu' }),
        head: new Linear({ inputSize: 5, outputSize: 2, bias: false }),
        softmax: new Activation({ kind: 'softmax' }),
      }),
  );
  add(
    'rows of all steps',
    () =>
      new Sequential({
        low: new Linear({ inputSize: 3, outputSize: 3 }),
        tanh: new Activation({ kind: 'tanh' }),
        rnn: new LSTM(sizes),
        plain: new LayerNorm({ size: 4, affine: false }),
        other: new RMSNorm({ size: 4, affine: false }),
        head: new Linear({ inputSize: 4, outputSize: 2 }),
        sigmoid: new Activation({ kind: 'sigmoid' }),
      }),
  );
  return models;
}

/** Numbers [N, T, 3], or symbols [N, T], for a model of these. */
export function inputOf(model: Layer, n: number, t: number): Tensor {
  const generator = new Generator(99);
  const isEmbedding = Object.keys(model.stateDict())[0] === 'embedding.weight';
  if (!isEmbedding) return Tensor.randn([n, t, 3], { generator });
  return new Tensor(
    Float32Array.from({ length: n * t }, () => generator.integer(7)),
    [n, t],
  );
}
