import { type MemoryRange, memoryOf, overlap } from './aliasing';
import { checkString, copyList, fail, readSafely } from './check';
import { EvenkeelError } from './errors';
import { checkTensor, Tensor } from './tensor';

/** Where values of new parameters lie, and an array of their size that stands for their gradients; undefined where each has its own. */
let placement: ((value: Tensor) => { readonly value: Tensor; readonly grad: Tensor }) | undefined;

/**
 * Runs `make` with the values of new parameters in memory that `place` gives, for models that are never trained.
 * @internal
 */
export function withPlacedParameters<Made>(place: NonNullable<typeof placement>, make: () => Made): Made {
  const before = placement;
  placement = place;
  try {
    return make();
  } finally {
    placement = before;
  }
}

/**
 * A trainable array and the gradient that backward passes add to.
 * Optimisers, clippers and measures see parameters, never layers.
 */
export class Parameter {
  /** As in the state dict, such as `rnn.weight_ih_l0`. */
  readonly name: string;
  /** The values, updated in place by optimisers. */
  readonly value: Tensor;
  /** ∂L/∂value, same shape and dtype; backward passes add to it, `optimizer.zeroGrad()` clears it. */
  readonly grad: Tensor;
  readonly #memory: Memory;

  /**
   * @param name as in the state dict, such as `rnn.weight_ih_l0`
   * @param value the values, not copied
   * @param grad zeros when left out; not copied
   * @throws EvenkeelError when `grad` has another dtype (ERR_DTYPE) or shape (ERR_SHAPE) than `value`, shares memory with it (ERR_OPTION),
   *   and for anything else than tensors
   */
  constructor(name: string, value: Tensor, grad?: Tensor) {
    this.name = checkString('name', name);
    const placed = placement?.(checkTensor('value', value));
    this.value = placed?.value ?? checkTensor('value', value);
    this.grad =
      placed?.grad ??
      (grad === undefined ? Tensor.zeros(value.shape, { dtype: value.dtype }) : checkTensor('grad', grad, value.dtype, value.shape));
    this.#memory = { value: memoryOf(this.value.data), grad: memoryOf(this.grad.data) };
    if (overlap(this.#memory.value, this.#memory.grad)) {
      throw new EvenkeelError('ERR_OPTION', 'grad: expected memory of its own, but it is that of value. Leave it out for a new one.');
    }
    Object.freeze(this);
  }

  /**
   * Where its elements are.
   * @internal
   */
  static memoryOf(parameter: Parameter): Memory {
    return parameter.#memory;
  }

  /** Whether `value` is a Parameter in truth: no proxy of one, and not just something with its prototype. */
  static isParameter(value: unknown): value is Parameter {
    return typeof value === 'object' && value !== null && #memory in value;
  }
}

/**
 * Checks for a list of different parameters and returns a copy of it.
 * @throws EvenkeelError ERR_OPTION for anything else: the same parameter twice would be updated, or counted, twice
 */
export function checkParameters(argument: string, value: unknown): readonly Parameter[] {
  const list = readSafely(argument, () =>
    Array.isArray(value) && value.length <= MAX_PARAMETERS ? (checkedBefore(value) ?? copyList<unknown>(value)) : undefined,
  );
  if (list === undefined) fail('ERR_OPTION', argument, 'an array of Parameters', value, 'Give it model.parameters().');
  if (list.length === 0) fail('ERR_OPTION', argument, 'at least one Parameter', value);
  const first = list[0] as Parameter;
  if (checkedLists.get(first) === list) return list as readonly Parameter[];
  checkDistinct(argument, list);
  checkedLists.set(first, Object.freeze(list));
  return list;
}

/** The list last checked that begins with a parameter: a parameter's memory is always the same, so the same list needs no second check. */
const checkedLists = new WeakMap<Parameter, readonly Parameter[]>();

/** The frozen copy of a list that was checked, where the list is still the same; each element is read once. */
function checkedBefore(list: readonly unknown[]): readonly Parameter[] | undefined {
  const checked = checkedLists.get(list[0] as Parameter);
  if (checked === undefined || checked.length !== list.length) return undefined;
  for (let index = 1; index < checked.length; index++) if (checked[index] !== list[index]) return undefined;
  return checked;
}

function checkDistinct(argument: string, list: readonly unknown[]): asserts list is readonly Parameter[] {
  const seen = new SeenMemory();
  for (let index = 0; index < list.length; index++) {
    const parameter = list[index];
    if (!Parameter.isParameter(parameter))
      fail('ERR_OPTION', `${argument}[${index}]`, 'a Parameter', parameter, 'Give it model.parameters().');
    const { value, grad } = Parameter.memoryOf(parameter);
    const other = seen.add(value, parameter) ?? seen.add(grad, parameter);
    if (other !== undefined) {
      throw new EvenkeelError(
        'ERR_OPTION',
        `${argument}[${index}]: expected each parameter once and in memory of its own, got "${parameter.name}" in that of "${other.name}".`,
      );
    }
  }
}

/** The memory of values and gradients. */
interface Memory {
  readonly value: MemoryRange;
  readonly grad: MemoryRange;
}

/** Memory by the buffer that it is in. */
class SeenMemory {
  readonly #ranges = new Map<MemoryRange['buffer'], { range: MemoryRange; owner: Parameter }[]>();

  /** @returns whose memory the range overlaps, if anybody's */
  add(range: MemoryRange, owner: Parameter): Parameter | undefined {
    const inBuffer = this.#ranges.get(range.buffer);
    if (inBuffer === undefined) {
      this.#ranges.set(range.buffer, [{ range, owner }]);
      return undefined;
    }
    const other = inBuffer.find((seen) => overlap(seen.range, range));
    inBuffer.push({ range, owner });
    return other?.owner;
  }
}

/** More than any model has: an array that claims more is not a list of parameters. */
const MAX_PARAMETERS = 1e6;

/**
 * Checks that values and gradients still hold their elements.
 * @throws EvenkeelError ERR_STATE naming the parameter whose buffer was transferred to another thread
 */
export function checkParametersAttached(parameters: readonly Parameter[]): void {
  for (const { name, value, grad } of parameters) {
    value.checkAttached(name);
    grad.checkAttached(`gradient of ${name}`);
  }
}
