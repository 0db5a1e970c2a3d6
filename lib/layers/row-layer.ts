import { checkRowCount } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { checkLengths, countSteps, packSteps, unpackSteps } from '../lengths';
import type { Parameter } from '../parameter';
import { allocate, checkTensor, type DType, type Tensor, type TensorData } from '../tensor';
import { allocateOutput } from '../workspace';
import { BaseLayer, type CallKind, type CheckedInput, type Computed, type Pass } from './layer';
import { type LayerCost, pointwiseCost } from './summary';

/** Rows of an input [..., width]; with lengths those of the steps that count. */
interface CheckedRows extends CheckedInput {
  readonly rows: number;
  readonly lengths: Int32Array | undefined;
}

interface KeptRows<Kept> {
  /** the rows that were computed: the input's own, or those that count */
  readonly data: TensorData;
  readonly own: Kept;
}

/** A layer that makes each row [inputWidth] of an input [..., inputWidth] into a row [outputWidth], each by itself. */
export abstract class RowLayer<Kept> extends BaseLayer<CheckedRows, KeptRows<Kept>> {
  readonly dtype: DType;
  readonly #inputWidth: number;
  readonly #outputWidth: number;

  constructor(
    parameters: readonly Parameter[],
    { dtype, inputWidth, outputWidth }: { dtype: DType; inputWidth: number; outputWidth: number },
    options: Readonly<Record<string, unknown>>,
  ) {
    super(parameters, { options });
    this.dtype = dtype;
    this.#inputWidth = inputWidth;
    this.#outputWidth = outputWidth;
  }

  /** @returns what backward needs of it */
  protected abstract computeRows(rows: number, input: TensorData, output: TensorData, call: CallKind): Kept;
  /** @param gradInput null where it is not wanted */
  protected abstract differentiateRows(
    rows: number,
    input: TensorData,
    gradOutput: TensorData,
    gradInput: TensorData | null,
    kept: Kept,
  ): void;

  /**
   * What predict gives for rows [rows, inputWidth], written to [rows, outputWidth].
   * @internal
   */
  predictRows(rows: number, input: TensorData, output: TensorData): void {
    this.computeRows(rows, input, output, 'predict');
  }

  /** @internal */
  inputShape(batch: number, steps: number): readonly number[] {
    return [batch, steps, this.#inputWidth];
  }

  /** @internal */
  costOf(shape: readonly number[]): LayerCost {
    return pointwiseCost(shape.with(-1, this.#outputWidth));
  }

  /** @internal */
  get widths(): { readonly input: number; readonly output: number } {
    return { input: this.#inputWidth, output: this.#outputWidth };
  }

  protected checkForward(input: Tensor, { lengths: given }: Readonly<Record<string, unknown>>): CheckedRows {
    const { shape, size } = checkTensor('input', input, this.dtype);
    if (shape.at(-1) !== this.#inputWidth || size === 0) {
      throw new EvenkeelError('ERR_SHAPE', `input: expected shape ${formatShape(['...', this.#inputWidth])}, got ${formatShape(shape)}.`);
    }
    const rows = checkRowCount('input', size / this.#inputWidth);
    const lengths = checkLengths(given, shape);
    return { input, lengths, rows: lengths === undefined ? rows : countSteps(lengths) };
  }

  protected compute({ input, rows, lengths }: CheckedRows, call: CallKind): Computed<KeptRows<Kept>> {
    const { shape } = input;
    const steps = shape[1] as number;
    const outputShape = this.#outputWidth === this.#inputWidth ? shape : shape.with(-1, this.#outputWidth);
    const output = allocateOutput(this.dtype, outputShape);
    const data = lengths === undefined ? input.data : packSteps(input.data, lengths, steps, this.#inputWidth);
    const computed = lengths === undefined ? output.data : allocate(this.dtype, rows * this.#outputWidth);
    // Without a row there is nothing to keep.
    const own = (rows === 0 ? undefined : this.computeRows(rows, data, computed, call)) as Kept;
    if (lengths !== undefined) unpackSteps(computed, lengths, steps, this.#outputWidth, output.data);
    return { output, kept: { data, own } };
  }

  protected differentiate(
    { checked: { input, rows, lengths }, kept: { data, own } }: Pass<CheckedRows, KeptRows<Kept>>,
    gradOutput: Tensor,
    gradInput: Tensor | undefined,
  ): void {
    if (lengths === undefined) {
      this.differentiateRows(rows, data, gradOutput.data, gradInput?.data ?? null, own);
      return;
    }
    const steps = input.shape[1] as number;
    const gradient = gradInput && allocate(this.dtype, data.length);
    const packed = packSteps(gradOutput.data, lengths, steps, this.#outputWidth);
    if (rows > 0) this.differentiateRows(rows, data, packed, gradient ?? null, own);
    if (gradient !== undefined) unpackSteps(gradient, lengths, steps, this.#inputWidth, gradInput?.data as TensorData);
  }
}
