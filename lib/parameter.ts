import { checkString, fail, readSafely } from './check';
import { EvenkeelError } from './errors';
import { checkTensor, Tensor } from './tensor';

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
  readonly #brand = true;

  /**
   * @param name as in the state dict, such as `rnn.weight_ih_l0`
   * @param value the values, not copied
   * @param grad zeros when left out; not copied
   * @throws EvenkeelError when `grad` has another dtype (ERR_DTYPE) or shape (ERR_SHAPE) than `value`, and for anything else than tensors
   */
  constructor(name: string, value: Tensor, grad?: Tensor) {
    this.name = checkString('name', name);
    this.value = checkTensor('value', value);
    this.grad =
      grad === undefined ? Tensor.zeros(value.shape, { dtype: value.dtype }) : checkTensor('grad', grad, value.dtype, value.shape);
    Object.freeze(this);
  }

  /** Whether `value` is a Parameter in truth: no proxy of one, and not just something with its prototype. */
  static isParameter(value: unknown): value is Parameter {
    return typeof value === 'object' && value !== null && #brand in value;
  }
}

/**
 * Checks for a list of different parameters and returns a copy of it.
 * @throws EvenkeelError ERR_OPTION for anything else: the same parameter twice would be updated, or counted, twice
 */
export function checkParameters(argument: string, value: unknown): Parameter[] {
  const list = readSafely(argument, () =>
    Array.isArray(value) && value.length <= MAX_PARAMETERS ? Array.from<unknown>(value) : undefined,
  );
  if (list === undefined) fail('ERR_OPTION', argument, 'an array of Parameters', value, 'Give it model.parameters().');
  if (list.length === 0) fail('ERR_OPTION', argument, 'at least one Parameter', value);
  const seen = new Set<object>();
  for (let index = 0; index < list.length; index++) {
    const parameter = list[index];
    if (!Parameter.isParameter(parameter))
      fail('ERR_OPTION', `${argument}[${index}]`, 'a Parameter', parameter, 'Give it model.parameters().');
    if (seen.has(parameter.value.data) || seen.has(parameter.grad.data)) {
      throw new EvenkeelError('ERR_OPTION', `${argument}[${index}]: expected each parameter once, got "${parameter.name}" a second time.`);
    }
    seen.add(parameter.value.data).add(parameter.grad.data);
  }
  return list as Parameter[];
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
