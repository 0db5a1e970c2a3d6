import { checkRowCount, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { checkLengths } from '../lengths';
import { native } from '../native/load';
import { checkGenerator, Generator } from '../random';
import { generatorOption, numberOption, readBy, writeBy } from '../schema';
import { generatorState, matchState, type StateDict } from '../state-dict';
import { checkTensor, Tensor } from '../tensor';
import { allocateOutput } from '../workspace';
import { BaseLayer, type CallKind, type CheckedInput, type Computed, type Pass } from './layer';
import { type LayerCost, pointwiseCost } from './summary';

/** Options of {@link Dropout}. */
export interface DropoutOptions {
  /** the probability that an element is dropped, from 0 to 1; 0.5 unless given */
  p?: number;
  /** where the masks come from; without one, from a random seed */
  generator?: Generator;
}

const SCHEMA = { p: numberOption(0.5, { min: 0, max: 1 }), generator: generatorOption };

interface CheckedElements extends CheckedInput {
  readonly sequences: number;
  /** elements of each */
  readonly size: number;
  /** how many of them count [sequences]; undefined for all */
  readonly counts: Int32Array | undefined;
}

/** What the masks of one forward call are made from; undefined where nothing is dropped. */
type Key = readonly [number, number] | undefined;

/**
 * Dropout (Srivastava et al. 2014), as torch.nn.Dropout: in training each element is 0 with probability p, else multiplied by 1/(1 − p);
 * predict, and forward with `training: false`, give the input as it is. forward takes and gives any shape [N, ...], in both dtypes.
 *
 * Each forward call in training draws two numbers from the generator. An element's mask is a function of these, of its sequence and of its
 * place in the sequence alone (Philox4x32-10): nothing is stored for backward but the two numbers, the number of threads changes no bit, and a
 * sequence's masks do not depend on how far it is padded. NaN and infinity stay NaN where they are dropped, as in PyTorch.
 */
export class Dropout extends BaseLayer<CheckedElements, Key> {
  /** @internal */
  static readonly schema = SCHEMA;
  readonly p: number;
  readonly #generator: Generator;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: DropoutOptions = {}) {
    const given = readBy('Dropout options', options, SCHEMA);
    super([], { options: writeBy(SCHEMA, given) });
    this.p = given.p;
    this.#generator = checkGenerator('generator', given.generator);
  }

  /** Where the generator is, as float64 [4] or [5]: a checkpoint holds it, and a refused step of fit goes back to it. */
  carriedState(): StateDict {
    return { generator: generatorState(this.#generator) };
  }

  /** @throws EvenkeelError ERR_STATE, ERR_SHAPE, ERR_DTYPE or ERR_OPTION for anything but what carriedState gives; nothing is changed then */
  loadCarriedState(state: StateDict): void {
    const given = matchGeneratorState(state);
    this.#generator.state = Generator.from([...given.data]).state;
  }

  /** @internal */
  costOf(shape: readonly number[]): LayerCost {
    return pointwiseCost(shape);
  }

  protected checkForward(input: Tensor, { lengths: given }: Readonly<Record<string, unknown>>): CheckedElements {
    const { shape, size: count } = checkTensor('input', input);
    if (shape.length === 0 || count === 0) {
      throw new EvenkeelError('ERR_SHAPE', `input: expected shape [N, ...] with at least one element, got ${formatShape(shape)}.`);
    }
    const sequences = checkRowCount('input', shape[0] as number);
    const size = checkRowCount('input', count / sequences);
    const width = shape[2] ?? 1;
    return { input, sequences, size, counts: checkLengths(given, shape)?.map((length) => length * width) };
  }

  protected compute({ input, sequences, size, counts }: CheckedElements, call: CallKind): Computed<Key> {
    const output = allocateOutput(input.dtype, input.shape);
    const key: Key = call === 'training' && this.p > 0 ? [this.#generator.nextUint32(), this.#generator.nextUint32()] : undefined;
    this.#apply(input, output, key, { sequences, size, counts });
    return { output, kept: key };
  }

  protected differentiate({ checked, kept }: Pass<CheckedElements, Key>, gradOutput: Tensor, gradInput: Tensor | undefined): void {
    if (gradInput !== undefined) this.#apply(gradOutput, gradInput, kept, checked);
  }

  /** What forward does to the input and backward to the gradient alike. */
  #apply({ data }: Tensor, to: Tensor, key: Key, { sequences, size, counts }: Omit<CheckedElements, 'input'>): void {
    const [key0, key1] = key ?? [0, 0];
    const p = key === undefined ? 0 : this.p;
    native().dropout(sequences, size, counts ?? null, key0, key1, p, data, to.data);
  }
}

function matchGeneratorState(state: unknown): Tensor {
  const words = readSafely('carried state', () => (state as { generator?: Partial<Tensor> } | null | undefined)?.generator?.shape?.[0]);
  const length = words === 5 ? 5 : 4;
  const own = { generator: Tensor.zeros([length], { dtype: 'float64' }) };
  const [[, given]] = matchState('carried state', own, state as StateDict) as [[Tensor, Tensor]];
  return given;
}
