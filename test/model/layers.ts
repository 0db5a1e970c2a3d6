// Layers of one's own, as a user writes them, and models of every kind.
import {
  Activation,
  BaseLayer,
  type CheckedInput,
  type Computed,
  Dropout,
  type DType,
  Embedding,
  Generator,
  GRU,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  LSTM,
  Parameter,
  type Pass,
  RMSNorm,
  RNN,
  registerLayer,
  Sequential,
  Tensor,
} from '../../lib/index';

/** y = factor · scale ⊙ x */
export class Scale extends BaseLayer<CheckedInput, undefined> {
  readonly #scale: Parameter;
  readonly #factor: number;

  constructor({ size, factor }: { size: number; factor: number }) {
    const scale = new Parameter('scale', new Tensor(new Float32Array(size).fill(1), [size]));
    super([scale], { options: { size, factor } });
    this.#scale = scale;
    this.#factor = factor;
  }

  protected checkForward(input: Tensor): CheckedInput {
    return { input };
  }

  protected compute({ input }: CheckedInput): Computed<undefined> {
    const { value } = this.#scale;
    const data = Float32Array.from(input.data, (x, i) => this.#factor * x * (value.data[i % value.size] as number));
    return { output: new Tensor(data, input.shape), kept: undefined };
  }

  protected differentiate({ checked }: Pass<CheckedInput, undefined>, gradOutput: Tensor, gradInput: Tensor | undefined): void {
    const { value, grad } = this.#scale;
    for (const [i, g] of gradOutput.data.entries()) {
      const j = i % value.size;
      grad.data[j] = (grad.data[j] as number) + this.#factor * g * (checked.input.data[i] as number);
      if (gradInput !== undefined) gradInput.data[i] = this.#factor * g * (value.data[j] as number);
    }
  }
}

/** x + inner(x): holds a layer, and is no BaseLayer. */
export class Residual implements Layer {
  readonly options: { readonly inner: Layer };

  constructor(options: { readonly inner: Layer }) {
    this.options = options;
  }

  forward(input: Tensor): Tensor {
    const { data, shape } = this.options.inner.forward(input);
    return new Tensor(
      Float32Array.from(data, (value, i) => value + (input.data[i] as number)),
      shape,
    );
  }

  backward(gradOutput: Tensor): Tensor {
    const { data, shape } = this.options.inner.backward(gradOutput);
    return new Tensor(
      Float32Array.from(data, (value, i) => value + (gradOutput.data[i] as number)),
      shape,
    );
  }

  parameters(): Parameter[] {
    return this.options.inner.parameters();
  }

  stateDict(): Record<string, Tensor> {
    return this.options.inner.stateDict();
  }

  loadStateDict(state: Record<string, Tensor>): void {
    this.options.inner.loadStateDict(state);
  }
}

registerLayer('test.Scale', Scale);
registerLayer('test.Residual', Residual);

const generator = new Generator(3);

/** One model for each layer and about each option, with an input that it takes. */
export const models: readonly { name: string; make: () => Layer; input: Tensor }[] = [
  ...(['float32', 'float64'] as DType[]).flatMap((dtype) => {
    const x = Tensor.randn([2, 5, 3], { generator, dtype });
    const sizes = { inputSize: 3, hiddenSize: 4, dtype };
    const of = (name: string, make: () => Layer) => ({ name: `${name}, ${dtype}`, make, input: x });
    return [
      of('RNN', () => new RNN(sizes)),
      of('RNN, relu', () => new RNN({ ...sizes, nonlinearity: 'relu', normalization: { placement: 'hidden', kind: 'rms', eps: 0.01 } })),
      of('RNN, zoneout', () => new RNN({ ...sizes, zoneout: 0.25, recurrentDropout: 0.5, bias: false, returnSequences: false })),
      of('LSTM', () => new LSTM(sizes)),
      of(
        'LSTM, all options',
        () =>
          new LSTM({
            ...sizes,
            numLayers: 2,
            bidirectional: true,
            dropout: 0.5,
            zoneout: { cell: 0.125 },
            projSize: 2,
            forgetBias: 1,
            normalization: { placement: 'preactivation', scope: 'gate' },
            cellNormalization: { placement: 'output', kind: 'rms' },
            recurrentInitializer: { name: 'orthogonal', gain: 0.9 },
            inputInitializer: 'glorot',
            truncateAfter: 3,
            stateGradientLimit: 2,
            checkpointing: { budget: Number.POSITIVE_INFINITY },
          }),
      ),
      of('GRU', () => new GRU({ ...sizes, resetAfter: false, stateful: true, checkpointing: { every: 2 } })),
      of('Linear', () => new Linear({ inputSize: 3, outputSize: 2, bias: false, dtype })),
      of('LayerNorm', () => new LayerNorm({ size: 3, eps: 1e-3, dtype })),
      of('RMSNorm', () => new RMSNorm({ size: 3, affine: false, dtype })),
      of('Dropout', () => new Dropout({ p: 0.75 })),
      of('Activation', () => new Activation({ kind: 'softmax' })),
      of(
        'Sequential',
        () => new Sequential({ $first: new GRU(sizes), last: new LastStep(), out: new Linear({ inputSize: 4, outputSize: 1, dtype }) }),
      ),
      of('list in a list', () => new Sequential([new Sequential([new RNN(sizes)]), new LastStep()])),
    ];
  }),
  {
    name: 'Embedding',
    make: () => new Embedding({ vocabularySize: 6, embeddingSize: 3, paddingIndex: 0, sparse: true }),
    input: Tensor.from([[5, 0, 2]]),
  },
  { name: 'Scale', make: () => new Scale({ size: 3, factor: -0 }), input: Tensor.from([[1, 2, 3]]) },
  {
    name: 'Residual',
    make: () => new Sequential([new Residual({ inner: new Linear({ inputSize: 3, outputSize: 3 }) }), new Scale({ size: 3, factor: 2 })]),
    input: Tensor.from([[1, 2, 3]]),
  },
];
