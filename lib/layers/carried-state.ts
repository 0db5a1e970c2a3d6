import { fail, isPlainObject, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import type { StateDict } from '../state-dict';
import { checkTensor, type DType, Tensor } from '../tensor';
import type { Layer } from './layer';

/** What a layer carries from one forward call to the next; nothing for a layer that does not say. */
export function carriedStateOf(layer: Layer): StateDict {
  return layer.carriedState?.() ?? {};
}

/**
 * Lets a layer go on from what {@link carriedStateOf} gave.
 * @throws EvenkeelError ERR_STATE for a layer that carries nothing, when there is something; ERR_OPTION, ERR_SHAPE, ERR_DTYPE by the layer
 */
export function loadCarriedStateOf(layer: Layer, state: StateDict): void {
  if (layer.loadCarriedState !== undefined) layer.loadCarriedState(state);
  else checkCarriedNames(state, []);
}

/**
 * Checks the states of one layer, one tensor [N, width] for each name, or [places, N, width] where it has several places: all of them, or none.
 * @returns copies, or undefined for none
 */
export function checkCarriedState(
  given: unknown,
  widths: Readonly<Record<string, number>>,
  dtype: DType,
  places = 1,
): StateDict | undefined {
  const names = Object.keys(widths);
  const entries = checkCarriedNames(given, names);
  if (entries.size === 0) return undefined;
  let sequences: number | string = 'N';
  const copies = names.map((name) => {
    const shape = [...(places === 1 ? [] : [places]), sequences, widths[name] as number];
    const tensor = checkTensor(`carried state["${name}"]`, entries.get(name), dtype, shape);
    sequences = tensor.shape.at(-2) as number;
    return [name, new Tensor(tensor.data.slice(), tensor.shape)];
  });
  return Object.fromEntries(copies);
}

function checkCarriedNames(given: unknown, names: readonly string[]): Map<string, unknown> {
  const entries = readSafely('carried state', () => (isPlainObject(given) ? new Map<string, unknown>(Object.entries(given)) : undefined));
  if (entries === undefined) fail('ERR_OPTION', 'carried state', 'a record of tensors by name', given);
  for (const name of entries.keys()) {
    if (!names.includes(name)) {
      const known = names.length === 0 ? 'none, since this layer carries no state' : names.join(', ');
      throw new EvenkeelError('ERR_STATE', `carried state: expected ${known}, got "${name.slice(0, 100)}".`);
    }
  }
  return entries;
}
