import { checkTensor, type Tensor } from '../tensor';
import { allocateOutput } from '../workspace';
import { type BackwardOptions, BaseLayer, type Pass, wantsInputGradient } from './layer';

/** The last time step of a sequence: [N, T, H] -> [N, H]. It takes both dtypes and has no parameters. */
export class LastStep extends BaseLayer {
  #pass: Pass | undefined;

  constructor() {
    super([]);
  }

  /**
   * @param input [N, T, H]
   * @returns a copy of its last step [N, H]
   */
  forward(input: Tensor): Tensor {
    const { data, dtype, shape } = checkTensor('input', input, undefined, ['N', 'T', 'H']);
    const [n, t, h] = shape as [number, number, number];
    const output = allocateOutput(dtype, [n, h]);
    for (let row = 0; row < n; row++) {
      const start = (row * t + t - 1) * h;
      for (let j = 0; j < h; j++) output.data[row * h + j] = data[start + j] as number;
    }
    this.#pass = { input, outputShape: output.shape };
    return output;
  }

  /**
   * @param gradOutput [N, H]
   * @returns [N, T, H], zero but for the last step
   */
  backward(gradOutput: Tensor, options?: { inputGradient?: true }): Tensor;
  backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined;
  backward(gradOutput: Tensor, options: BackwardOptions = {}): Tensor | undefined {
    const wanted = wantsInputGradient(options);
    const { shape, dtype } = this.checkBackward(this.#pass, gradOutput).input;
    this.#pass = undefined;
    if (!wanted) return undefined;
    const [n, t, h] = shape as [number, number, number];
    const gradInput = allocateOutput(dtype, shape);
    gradInput.data.fill(0);
    for (let row = 0; row < n; row++) gradInput.data.set(gradOutput.data.subarray(row * h, (row + 1) * h), (row * t + t - 1) * h);
    return gradInput;
  }
}
