import { nearestName } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { fileFault, quote } from '../io/file';
import { copyState } from '../state-dict';
import { allocate, type DType, Tensor } from '../tensor';

/** What is filled: a layer, as far as its tensors go. */
interface Filled {
  stateDict(): Record<string, Tensor>;
}

/** More names than this make a message no clearer. */
const MOST_NAMES = 10;

/**
 * The tensors of another framework's file, by name. Whoever makes a model of it takes them one by one; at the end each was taken, or
 * {@link ForeignTensors.checkAllTaken} names it: a tensor that no layer reads would be a part of the model that is silently left out.
 */
export class ForeignTensors {
  /** how errors name the file */
  readonly where: string;
  readonly #left: Map<string, Tensor>;
  readonly #all: ReadonlyMap<string, Tensor>;

  /** @param where begins with the file's path */
  constructor(where: string, tensors: Iterable<readonly [name: string, tensor: Tensor]>) {
    this.where = where;
    this.#all = new Map(tensors);
    this.#left = new Map(this.#all);
  }

  /** of all tensors, in the file's order */
  get names(): string[] {
    return [...this.#all.keys()];
  }

  /** A tensor without taking it; undefined where there is none. */
  peek(name: string): Tensor | undefined {
    return this.#all.get(name);
  }

  /**
   * Takes a tensor; taking it again is allowed, as layers may share it.
   * @param shape a string stands for any size
   * @throws EvenkeelError ERR_FILE when it is not there, or of another shape
   */
  take(name: string, shape?: readonly (number | string)[]): Tensor {
    const tensor = this.#all.get(name);
    if (tensor === undefined) {
      const nearest = nearestName(name, this.names);
      const hint = nearest === undefined ? undefined : `There is ${quote(nearest)}.`;
      return fileFault(this.where, `a tensor ${quote(name)}`, 'none', hint);
    }
    if (shape !== undefined) checkShape(`${this.where}, tensor ${quote(name)}`, tensor, shape);
    this.#left.delete(name);
    return tensor;
  }

  /** @throws EvenkeelError ERR_FILE that names the tensors which nobody took */
  checkAllTaken(hint?: string): void {
    if (this.#left.size === 0) return;
    const names = [...this.#left].map(([name, { shape }]) => `${quote(name)} ${formatShape(shape)}`);
    fileFault(this.where, 'tensors that belong to layers of the model', listed(names), hint);
  }
}

/** @throws EvenkeelError ERR_FILE; in `shape` a string stands for any size */
function checkShape(where: string, tensor: Tensor, shape: readonly (number | string)[]): void {
  const fits = tensor.shape.length === shape.length && shape.every((size, axis) => typeof size === 'string' || size === tensor.shape[axis]);
  if (!fits) fileFault(where, `shape ${formatShape(shape)}`, formatShape(tensor.shape));
}

/**
 * Fills a model that was made for a file: each of its parameters, or none where one is missing or does not fit. Values of the other dtype are
 * converted.
 * @param values by the names of the model's state dict
 * @throws EvenkeelError ERR_FILE that names the parameters without a value, the values without a parameter, or what does not fit
 */
export function fillParameters(where: string, model: Filled, values: Readonly<Record<string, Tensor>>): void {
  const own = model.stateDict();
  const missing = Object.keys(own).filter((name) => !Object.hasOwn(values, name));
  if (missing.length > 0) fileFault(where, `values for ${listed(missing.map((name) => quote(name)))}`, 'none');
  const unexpected = Object.keys(values).filter((name) => !Object.hasOwn(own, name));
  if (unexpected.length > 0)
    fileFault(where, 'values for the parameters of the model alone', listed(unexpected.map((name) => quote(name))));
  const pairs = Object.entries(own).map(([name, parameter]): [Tensor, Tensor] => {
    const value = values[name] as Tensor;
    checkShape(`${where}, ${quote(name)}`, value, parameter.shape);
    return [parameter, convertTensor(`${where}, ${quote(name)}`, value, parameter.dtype)];
  });
  copyState(pairs);
}

/**
 * A tensor in another dtype; the tensor itself where it has that already.
 * @throws EvenkeelError ERR_FILE for a finite number that float32 does not reach
 */
export function convertTensor(where: string, tensor: Tensor, dtype: DType): Tensor {
  if (tensor.dtype === dtype) return tensor;
  const data = allocate(dtype, tensor.size);
  for (let i = 0; i < tensor.size; i++) {
    const value = tensor.data[i] as number;
    data[i] = value;
    if (Number.isFinite(value) && !Number.isFinite(data[i])) {
      fileFault(where, 'numbers that float32 can hold', `${value}`, 'Ask for dtype: "float64".');
    }
  }
  return new Tensor(data, tensor.shape);
}

/**
 * The dtype of a model whose file has these tensors: the one that was asked for, or theirs.
 * @throws EvenkeelError ERR_DTYPE when they differ and none was asked for
 */
export function commonDType(where: string, tensors: Iterable<Tensor>, wanted: DType | undefined): DType {
  if (wanted !== undefined) return wanted;
  const found = new Set([...tensors].map(({ dtype }) => dtype));
  if (found.size > 1) {
    throw new EvenkeelError('ERR_DTYPE', `${where}: expected tensors of one dtype, got float32 and float64. Say which with dtype.`);
  }
  return [...found][0] ?? 'float32';
}

/** Names for a message: the first ones, and how many more there are. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).join(', ');
  return names.length > MOST_NAMES ? `${shown} and ${names.length - MOST_NAMES} more` : shown;
}
