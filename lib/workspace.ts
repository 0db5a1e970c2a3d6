import { checkFunction } from './check';
import { EvenkeelError } from './errors';
import { allocate, type DType, elementCount, Tensor } from './tensor';
import { typedArrayLength } from './typed-arrays';

/** The workspace whose run is under way. */
let active: Workspace | undefined;

/**
 * Memory that the steps of a training loop use again and again. Inside `run`, the tensors that layers and losses return are not new: the
 * first of a run takes the memory of the first of the run before, the second that of the second, and so on, where dtype and shape are the
 * same. A loop then allocates nothing after its first step.
 *
 * So **a tensor that a layer or loss returned inside `run` is valid until the next run** of the same workspace, as one made inside tf.tidy
 * is until its end: copy what you keep, with `new Tensor(tensor.data.slice(), tensor.shape)`. Tensors that you make yourself, parameters
 * and their gradients, and the `finalState` and `gradInitialState` of an RNN are not concerned.
 *
 * ```ts
 * const workspace = new Workspace();
 * for (const { input, target } of batches) {
 *   workspace.run(() => {
 *     optimizer.zeroGrad();
 *     const { grad } = mseLoss(model.forward(input), target);
 *     model.backward(grad);
 *     optimizer.step();
 *   });
 * }
 * ```
 */
export class Workspace {
  readonly #tensors: Tensor[] = [];
  /** how many the run under way has taken */
  #taken = 0;

  /**
   * Runs `body`, and returns what it returns.
   * @param body one step, synchronous, with both the forward and the backward pass of what it computes
   * @throws EvenkeelError ERR_STATE inside another run, ERR_OPTION for a body that is asynchronous; what `body` throws, unchanged
   */
  run<Result>(body: () => Result): Result {
    checkFunction('body', body);
    if (active !== undefined) {
      throw new EvenkeelError(
        'ERR_STATE',
        'Workspace.run: expected no other run under way, but it was called inside one. Call it once, around a whole step.',
      );
    }
    active = this;
    this.#taken = 0;
    let result: Result;
    try {
      result = body();
    } finally {
      active = undefined;
    }
    this.#tensors.length = this.#taken;
    if (isThenable(result)) failAsynchronous(result);
    return result;
  }

  /** @internal */
  take(dtype: DType, shape: readonly number[]): Tensor {
    const index = this.#taken++;
    const kept = this.#tensors[index];
    if (kept !== undefined && fits(kept, dtype, shape)) return kept;
    const made = makeTensor(dtype, shape);
    this.#tensors[index] = made;
    return made;
  }
}

/**
 * A tensor for a result that is written as a whole: from the workspace whose run is under way, with whatever it held, else a new one.
 * @internal
 */
export function allocateOutput(dtype: DType, shape: readonly number[]): Tensor {
  return active === undefined ? makeTensor(dtype, shape) : active.take(dtype, shape);
}

function makeTensor(dtype: DType, shape: readonly number[]): Tensor {
  return new Tensor(allocate(dtype, elementCount(shape)), shape);
}

/** Whether a tensor can be used again: it may have been transferred to another thread. */
function fits(kept: Tensor, dtype: DType, shape: readonly number[]): boolean {
  return (
    kept.dtype === dtype &&
    kept.shape.length === shape.length &&
    kept.shape.every((size, axis) => size === shape[axis]) &&
    typedArrayLength(kept.data) === kept.size
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
}

function failAsynchronous(result: PromiseLike<unknown>): never {
  // Whatever becomes of it, this error is what the caller hears.
  result.then(undefined, () => {});
  throw new EvenkeelError(
    'ERR_OPTION',
    'body: expected a synchronous function, got one that returns a promise: what it does after its first await would be outside the run. ' +
      'Await first, and run the step then.',
  );
}
