import { checkLengths } from '../lengths';
import { checkTensor, type Tensor } from '../tensor';
import { allocateOutput } from '../workspace';
import { BaseLayer, type CheckedInput, type Computed, type Pass } from './layer';
import { type LayerCost, pointwiseCost } from './summary';

interface CheckedSequences extends CheckedInput {
  readonly lengths: Int32Array | undefined;
}

/**
 * The last time step of a sequence: forward takes [N, T, H] and gives a copy of the last step [N, H], with lengths of the last one that counts,
 * and zeros for a sequence of length 0. It takes both dtypes and has no parameters.
 */
export class LastStep extends BaseLayer<CheckedSequences, undefined> {
  constructor() {
    super([], { options: {} });
  }

  /** @internal */
  costOf([n, , width]: readonly number[]): LayerCost {
    return pointwiseCost([n as number, width as number]);
  }

  protected checkForward(input: Tensor, { lengths }: Readonly<Record<string, unknown>>): CheckedSequences {
    const { shape } = checkTensor('input', input, undefined, ['N', 'T', 'H']);
    return { input, lengths: checkLengths(lengths, shape) };
  }

  protected compute(checked: CheckedSequences): Computed<undefined> {
    const { data, dtype, shape } = checked.input;
    const [n, , h] = shape as [number, number, number];
    const output = allocateOutput(dtype, [n, h]);
    for (let row = 0; row < n; row++) {
      const start = startOfLast(checked, row);
      for (let j = 0; j < h; j++) output.data[row * h + j] = start === undefined ? 0 : (data[start + j] as number);
    }
    return { output, kept: undefined };
  }

  protected differentiate({ checked }: Pass<CheckedSequences, undefined>, gradOutput: Tensor, gradInput: Tensor | undefined): void {
    if (gradInput === undefined) return;
    const [n, , h] = checked.input.shape as [number, number, number];
    gradInput.data.fill(0);
    for (let row = 0; row < n; row++) {
      const start = startOfLast(checked, row);
      if (start !== undefined) gradInput.data.set(gradOutput.data.subarray(row * h, (row + 1) * h), start);
    }
  }
}

/** Where a sequence's last step that counts begins. */
function startOfLast({ input, lengths }: CheckedSequences, row: number): number | undefined {
  const [, t, h] = input.shape as [number, number, number];
  const length = lengths?.[row] ?? t;
  return length === 0 ? undefined : (row * t + length - 1) * h;
}
