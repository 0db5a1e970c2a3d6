import { native } from '../native/load';
import { Parameter } from '../parameter';
import { allocate, type DType, Tensor, type TensorData } from '../tensor';
import type { CallKind } from './layer';
import { RowLayer } from './row-layer';

/** What tells one normalisation of rows from another. */
interface NormRule {
  hasBias: boolean;
  /** numbers that backward needs of each row */
  statisticsPerRow: number;
  forward: 'layerNormForward' | 'rmsNormForward';
  backward: 'layerNormBackward' | 'rmsNormBackward';
}

interface NormSettings {
  size: number;
  eps: number;
  affine: boolean;
  dtype: DType;
}

/** A normalisation of rows: its γ and β, if it has them, and the statistics of its last call. */
export abstract class NormLayer extends RowLayer<TensorData> {
  readonly size: number;
  readonly eps: number;
  readonly #rule: NormRule;
  readonly #weight: Parameter | undefined;
  readonly #bias: Parameter | undefined;
  #statistics: TensorData;

  constructor(rule: NormRule, { size, eps, affine, dtype }: NormSettings, options: Readonly<Record<string, unknown>>) {
    const weight = affine ? new Parameter('weight', new Tensor(allocate(dtype, size).fill(1), [size])) : undefined;
    const bias = affine && rule.hasBias ? new Parameter('bias', Tensor.zeros([size], { dtype })) : undefined;
    super(
      [weight, bias].filter((parameter) => parameter !== undefined),
      { dtype, inputWidth: size, outputWidth: size },
      options,
    );
    this.size = size;
    this.eps = eps;
    this.#rule = rule;
    this.#weight = weight;
    this.#bias = bias;
    this.#statistics = allocate(dtype, 0);
  }

  /** @returns statistics of each row */
  protected computeRows(rows: number, input: TensorData, output: TensorData, call: CallKind): TensorData {
    const length = this.#rule.statisticsPerRow * rows;
    // Only a backward call sees the statistics, so one array serves every call of the same size but for those that come between.
    const statistics = call !== 'predict' && this.#statistics.length === length ? this.#statistics : allocate(this.dtype, length);
    if (call !== 'predict') this.#statistics = statistics;
    const [weight, bias] = [this.#weight?.value.data ?? null, this.#bias?.value.data ?? null];
    native()[this.#rule.forward](rows, this.size, this.eps, input, weight, bias, output, statistics);
    return statistics;
  }

  protected differentiateRows(
    rows: number,
    input: TensorData,
    gradOutput: TensorData,
    gradInput: TensorData | null,
    statistics: TensorData,
  ): void {
    const [weight, gradWeight] = [this.#weight?.value.data ?? null, this.#weight?.grad.data ?? null];
    const gradBias = this.#bias?.grad.data ?? null;
    native()[this.#rule.backward](rows, this.size, input, weight, statistics, gradOutput, gradInput, gradWeight, gradBias);
  }
}
