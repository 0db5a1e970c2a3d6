import { checkFunction } from './check';
import { EvenkeelError } from './errors';
import { allocate, type DType, elementCount, Tensor, type TensorData } from './tensor';
import { typedArrayKind, typedArrayLength } from './typed-arrays';

/** The workspace whose run is under way. */
let active: Workspace | undefined;

/**
 * Memory that the steps of a training loop use again and again. Inside `run`, the tensors that layers and losses return take the memory of
 * those of the run before, the first that of the first, and so on, where dtype and shape are the same. A loop then allocates nothing after
 * its first steps.
 *
 * So **a tensor that a layer or loss returned inside `run` is valid until the next run** of the same workspace, as one made inside tf.tidy
 * is until its end: copy what you keep, with `new Tensor(tensor.data.slice(), tensor.shape)`. Later its `data` is empty, and whatever is
 * given it throws an ERR_STATE; only a typed array taken from it before is not guarded. The `finalState` and `gradInitialState` of an RNN
 * are valid during the next run too, whose initial state they may be. Tensors that you make yourself, and parameters and their gradients,
 * are not concerned, nor is what a layer with `checkpointing` computes again.
 *
 * ```ts
 * const workspace = new Workspace();
 * for (const { input, target } of batches) {
 *   workspace.run(() => {
 *     optimizer.zeroGrad();
 *     const { grad } = mseLoss(model.forward(input), target);
 *     model.backward(grad, { inputGradient: false });
 *     optimizer.step();
 *   });
 * }
 * ```
 */
export class Workspace {
  readonly #outputs = new Pool();
  /** of this run, and of the run before */
  #states = [new Pool(), new Pool()] as const;

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
    this.#states = [this.#states[1], this.#states[0]];
    this.#outputs.restart();
    this.#states[0].restart();
    active = this;
    let result: Result;
    try {
      result = body();
    } finally {
      active = undefined;
    }
    if (isThenable(result)) failAsynchronous(result);
    return result;
  }

  /** @internal */
  takeOutput(dtype: DType, shape: readonly number[]): Tensor {
    return this.#outputs.take(dtype, shape);
  }

  /** @internal */
  get bytesLeft(): number {
    return this.#outputs.bytesLeft + this.#states[0].bytesLeft;
  }

  /** @internal */
  takeState(dtype: DType, shape: readonly number[]): Tensor {
    return this.#states[0].take(dtype, shape);
  }
}

/** Tensors in the order in which a run takes them. */
class Pool {
  #taken: Taken[] = [];
  #memory: (TensorData | undefined)[] = [];

  /** Ends the life of all tensors but those that somebody froze. Memory that was not used since the last restart is let go. */
  restart(): void {
    this.#memory = this.#taken.map(({ tensor, dtype, memory }) => (Tensor.expire(tensor, dtype) ? memory : undefined));
    this.#taken = [];
  }

  take(dtype: DType, shape: readonly number[]): Tensor {
    const size = elementCount(shape);
    const kept = this.#memory[this.#taken.length];
    // Memory may have been transferred to another thread meanwhile.
    const fits = kept !== undefined && typedArrayKind(kept) === KINDS[dtype] && typedArrayLength(kept) === size;
    const memory = fits ? kept : allocate(dtype, size);
    const tensor = Tensor.expirable(memory, shape);
    this.#taken.push({ tensor, dtype, memory });
    return tensor;
  }

  /** Bytes that this run may still take without an allocation. */
  get bytesLeft(): number {
    let bytes = 0;
    for (const kept of this.#memory.slice(this.#taken.length)) bytes += kept?.byteLength ?? 0;
    return bytes;
  }
}

/** A tensor with the memory that it was given, whatever became of the tensor. */
interface Taken {
  readonly tensor: Tensor;
  readonly dtype: DType;
  readonly memory: TensorData;
}

const KINDS = { float32: 'Float32Array', float64: 'Float64Array' } as const;

/**
 * A tensor for a result that is written as a whole: from the workspace whose run is under way, with whatever it held, else a new one.
 * @internal
 */
export function allocateOutput(dtype: DType, shape: readonly number[]): Tensor {
  return active === undefined ? makeTensor(dtype, shape) : active.takeOutput(dtype, shape);
}

/**
 * The same for a state that the next run may start from.
 * @internal
 */
export function allocateState(dtype: DType, shape: readonly number[]): Tensor {
  return active === undefined ? makeTensor(dtype, shape) : active.takeState(dtype, shape);
}

/**
 * Bytes that outputs and states take without an allocation: those that the run under way took last time.
 * @internal
 */
export function reusableBytes(): number {
  return active?.bytesLeft ?? 0;
}

/** @internal */
export function makeTensor(dtype: DType, shape: readonly number[]): Tensor {
  return new Tensor(allocate(dtype, elementCount(shape)), shape);
}

function isThenable(value: unknown): boolean {
  try {
    return typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
  } catch {
    // What cannot be asked cannot be awaited either, and is handed back as it came.
    return false;
  }
}

function failAsynchronous(result: unknown): never {
  // Whatever becomes of it, this error is what the caller hears.
  Promise.resolve(result).catch(() => {});
  throw new EvenkeelError(
    'ERR_OPTION',
    'body: expected a synchronous function, got one that returns a promise: what it does after its first await would be outside the run. ' +
      'Await first, and run the step then.',
  );
}
