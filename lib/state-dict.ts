import { fail, isPlainObject, readSafely } from './check';
import { EvenkeelError } from './errors';
import { Generator } from './random';
import { checkTensor, Tensor } from './tensor';
import { copyOfArray } from './typed-arrays';

/** Tensors by name, as layers and optimisers give and take them and safetensors files hold them. */
export type StateDict = Record<string, Tensor>;

/**
 * Pairs each of `own`'s tensors with the given one of the same name. Nothing is changed, so that callers can check several parts of a
 * state before they load any.
 * @throws EvenkeelError ERR_STATE when a name is missing or unexpected, ERR_DTYPE or ERR_SHAPE when a tensor differs in kind,
 *   ERR_OPTION for anything but a record of tensors
 */
export function matchState(where: string, own: StateDict, given: unknown): [own: Tensor, given: Tensor][] {
  const entries = readSafely(where, () => (isPlainObject(given) ? new Map<string, unknown>(Object.entries(given)) : undefined));
  if (entries === undefined) fail('ERR_OPTION', where, 'a record of tensors by name', given);
  const missing = Object.keys(own).filter((name) => !entries.has(name));
  const unexpected = [...entries.keys()].filter((name) => !Object.hasOwn(own, name));
  if (missing.length + unexpected.length > 0) {
    throw new EvenkeelError(
      'ERR_STATE',
      `${where}: expected exactly the ${Object.keys(own).length} names of the state dict. Missing: ${listNames(missing)}. ` +
        `Unexpected: ${listNames(unexpected)}.${hintFor(missing, unexpected)}`,
    );
  }
  return Object.entries(own).map(([name, tensor]) => {
    tensor.checkAttached(name);
    return [tensor, checkTensor(`${where}["${name}"]`, entries.get(name), tensor.dtype, tensor.shape)];
  });
}

/** Copies the values of the pairs that {@link matchState} made. */
export function copyState(pairs: readonly (readonly [own: Tensor, given: Tensor])[]): void {
  // All are read before any is written: a state dict holds live tensors, and the given one may name the same ones in another order.
  const values = pairs.map(([, given]) => copyOfArray(given.data));
  pairs.forEach(([own], index) => {
    own.data.set(values[index] ?? []);
  });
}

/** Copies of a state's tensors. */
export function copyOfState(state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([name, { data, shape }]) => [name, new Tensor(copyOfArray(data), shape)]));
}

/** A number as a tensor, since safetensors files hold nothing else. */
export function scalar(value: number): Tensor {
  return new Tensor(Float64Array.of(value), []);
}

/** Where a generator is, as float64 [4] or [5]. */
export function generatorState({ state }: Generator): Tensor {
  return new Tensor(Float64Array.from(state), [state.length]);
}

/**
 * Checks what {@link generatorState} gave.
 * @returns what lets the generator go on from it
 * @throws EvenkeelError ERR_OPTION, ERR_DTYPE, ERR_SHAPE
 */
export function matchGeneratorState(argument: string, generator: Generator, state: unknown): () => void {
  const { state: words } = Generator.from([...checkTensor(argument, state, 'float64', ['K']).data]);
  return () => {
    generator.state = words;
  };
}

/** What PyTorch's ways of naming tell about names that do not fit. */
function hintFor(missing: readonly string[], unexpected: readonly string[]): string {
  const prefix = unexpected.length === 0 ? '' : commonPrefix(unexpected);
  const bare = unexpected.map((name) => name.slice(prefix.length));
  const hints: string[] = [];
  if (prefix !== '' && bare.some((name) => missing.includes(name))) {
    hints.push(
      ` Take ${JSON.stringify(prefix.slice(0, 100))} away from the names: a module around this one, such as DataParallel, put it there.`,
    );
  }
  const deeper = bare.find((name) => /_l[1-9]\d*(?:_reverse)?$/.test(name));
  const backwards = bare.find((name) => /_l\d+_reverse$/.test(name));
  if (deeper !== undefined) {
    const layers = Math.max(...bare.map((name) => Number(/_l(\d+)(?:_reverse)?$/.exec(name)?.[1] ?? 0))) + 1;
    hints.push(` ${deeper.slice(0, 100)} is of a further layer: make this one with numLayers: ${layers}.`);
  }
  if (backwards !== undefined)
    hints.push(` ${backwards.slice(0, 100)} is of a reverse direction: make the layer with bidirectional: true.`);
  return hints.join('');
}

/** The longest beginning that all names share and that ends with a point, such as `module.` */
function commonPrefix(names: readonly string[]): string {
  let [common = ''] = names;
  for (const name of names) {
    let end = 0;
    while (end < common.length && name[end] === common[end]) end++;
    common = common.slice(0, end);
  }
  return common.slice(0, common.lastIndexOf('.') + 1);
}

function listNames(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, 20).map((name) => name.slice(0, 100));
  return shown.join(', ') + (names.length > shown.length ? ` and ${names.length - shown.length} more` : '');
}
