import { checkInteger, checkRowCount, checkSize, fail } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { fillConstant, fillNormal } from '../initializers';
import { checkLengths } from '../lengths';
import { native } from '../native/load';
import { Parameter } from '../parameter';
import type { Generator } from '../random';
import { booleanOption, dtypeOption, generatorOption, optionalOption, readBy, sizeOption, writeBy } from '../schema';
import { makeSparse, type SparseRows } from '../sparse-rows';
import { allocateLabels, checkTensor, type DType, Tensor } from '../tensor';
import { allocateOutput } from '../workspace';
import { BaseLayer, type CheckedInput, type Computed, type Pass } from './layer';
import { type LayerCost, pointwiseCost } from './summary';

/** Options of {@link Embedding}. */
export interface EmbeddingOptions {
  /** V, how many symbols there are; at most 2^24 in float32, which has no more whole numbers in a row */
  vocabularySize: number;
  /** D, how many numbers stand for each */
  embeddingSize: number;
  /** a symbol whose row starts as zeros and is never trained */
  paddingIndex?: number;
  /**
   * Whether clearing, norms, clipping and the optimiser go over the rows of the symbols that were used alone, so that a step's cost does not
   * grow with V. SGD without momentum and weight decay makes the same steps either way; Adam makes those of torch.optim.SparseAdam, in which the
   * averages of other rows stay as they are. Other optimisers refuse it. false unless given
   */
  sparse?: boolean;
  /** `'float32'` unless given */
  dtype?: DType;
  /** where the initial rows come from; without one, from a random seed */
  generator?: Generator;
}

const SCHEMA = {
  vocabularySize: sizeOption,
  embeddingSize: sizeOption,
  paddingIndex: optionalOption<number | undefined>((argument, value) => checkInteger(argument, value, 0), undefined),
  sparse: booleanOption(false),
  dtype: dtypeOption,
  generator: generatorOption,
};

interface CheckedSymbols extends CheckedInput {
  /** a copy; -1 where no step counts */
  readonly indices: Int32Array;
}

const NONE = -1;
const MAX_IN_FLOAT32 = 2 ** 24;

/**
 * A row of numbers for each symbol, as torch.nn.Embedding: forward takes symbols, whole numbers from 0 to V − 1, in a tensor [...] of the layer's
 * dtype, and gives their rows [..., D]. With lengths the symbols are [N, T]; in steps that do not count may stand anything, and the output
 * there is 0. Rows start as standard normal numbers. Symbols have no gradient: ∂L/∂input is zeros.
 *
 * Parameters: weight [V, D]. Its gradients are summed in double, in the order of the symbols.
 *
 * @example
 * const model = new Sequential([new Embedding({ vocabularySize: 28, embeddingSize: 16 }), new LSTM({ inputSize: 16, hiddenSize: 32 })]);
 * const output = model.forward(Tensor.from([[7, 4, 11, 11, 14]]));
 */
export class Embedding extends BaseLayer<CheckedSymbols, undefined> {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly dtype: DType;
  readonly vocabularySize: number;
  readonly embeddingSize: number;
  readonly paddingIndex: number | undefined;
  readonly #weight: Parameter;
  readonly #sparse: SparseRows | undefined;

  /** @throws EvenkeelError ERR_OPTION or ERR_DTYPE for an option that is missing, unknown or out of range, ERR_MEMORY for too large a size */
  constructor(options: EmbeddingOptions) {
    const given = readBy('Embedding options', options, SCHEMA);
    const { vocabularySize, embeddingSize, paddingIndex, sparse, dtype, generator } = given;
    if (dtype === 'float32') checkInteger('vocabularySize', vocabularySize, 1, MAX_IN_FLOAT32);
    if (paddingIndex !== undefined) checkInteger('paddingIndex', paddingIndex, 0, vocabularySize - 1);
    checkSize('embeddingSize', embeddingSize);
    const weight = new Parameter('weight', Tensor.zeros([vocabularySize, embeddingSize], { dtype }));
    fillNormal(weight.value, generator);
    super([weight], { options: writeBy(SCHEMA, given) });
    if (paddingIndex !== undefined) fillConstant(weight.value, 0, paddingIndex * embeddingSize, (paddingIndex + 1) * embeddingSize);
    this.dtype = dtype;
    this.vocabularySize = vocabularySize;
    this.embeddingSize = embeddingSize;
    this.paddingIndex = paddingIndex;
    this.#weight = weight;
    this.#sparse = sparse ? makeSparse(weight.grad) : undefined;
  }

  /** @internal */
  inputShape(batch: number, steps: number): readonly number[] {
    return [batch, steps];
  }

  /** @internal */
  costOf(shape: readonly number[]): LayerCost {
    return pointwiseCost([...shape, this.embeddingSize]);
  }

  protected checkForward(input: Tensor, { lengths: given }: Readonly<Record<string, unknown>>): CheckedSymbols {
    const { data, shape, size } = checkTensor('input', input, this.dtype);
    if (size === 0) throw new EvenkeelError('ERR_SHAPE', `input: expected at least one symbol, got shape ${formatShape(shape)}.`);
    checkRowCount('input', size);
    const lengths = checkLengths(given, shape, ['N', 'T']);
    const steps = shape[1] as number;
    // A copy: another thread may change shared memory after the check.
    const indices = allocateLabels(size).fill(NONE);
    for (let i = 0; i < size; i++) {
      if (lengths !== undefined && i % steps >= (lengths[Math.floor(i / steps)] as number)) continue;
      const symbol = data[i] as number;
      if (!Number.isInteger(symbol) || symbol < 0 || symbol >= this.vocabularySize) {
        fail('ERR_OPTION', `input[${i}]`, `a symbol, a whole number from 0 to ${this.vocabularySize - 1}`, symbol);
      }
      indices[i] = symbol;
    }
    return { input, indices };
  }

  protected compute({ input, indices }: CheckedSymbols): Computed<undefined> {
    const { vocabularySize, embeddingSize, dtype } = this;
    const output = allocateOutput(dtype, [...input.shape, embeddingSize]);
    native().embeddingForward(indices.length, vocabularySize, embeddingSize, indices, this.#weight.value.data, output.data);
    return { output, kept: undefined };
  }

  protected differentiate({ checked }: Pass<CheckedSymbols, undefined>, gradOutput: Tensor, gradInput: Tensor | undefined): void {
    const { vocabularySize, embeddingSize, paddingIndex } = this;
    const { indices } = checked;
    const trained = paddingIndex === undefined ? indices : indices.map((index) => (index === paddingIndex ? NONE : index));
    const touched = allocateLabels(Math.min(indices.length, vocabularySize));
    const { data } = this.#weight.grad;
    const count = native().embeddingBackward(indices.length, vocabularySize, embeddingSize, trained, gradOutput.data, data, touched);
    this.#sparse?.add(touched.subarray(0, count));
    gradInput?.data.fill(0);
  }
}
