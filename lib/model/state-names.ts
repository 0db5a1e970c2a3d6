import { fail, isPlainObject, readSafely } from '../check';
import type { StateDict } from '../state-dict';

/** The states of layers under names that begin with theirs: `lstm.h`; of a model that is one layer as they are. */
export function joinStates(states: readonly (readonly [name: string, state: StateDict])[]): StateDict {
  return Object.fromEntries(
    states.flatMap(([name, state]) => Object.entries(state).map(([own, tensor]) => [name === '' ? own : `${name}.${own}`, tensor])),
  );
}

/**
 * What {@link joinStates} joined.
 * @param names of the layers that have states
 * @throws EvenkeelError ERR_OPTION for anything but a record, ERR_STATE for a name that is of no layer
 */
export function splitState(state: unknown, names: readonly string[]): Map<string, Record<string, unknown>> {
  const entries = readSafely('state', () => (isPlainObject(state) ? Object.entries(state) : undefined));
  if (entries === undefined) fail('ERR_OPTION', 'state', 'a record of tensors by name', state);
  const parts = new Map<string, Record<string, unknown>>(names.map((name) => [name, {}]));
  for (const [key, tensor] of entries) {
    const dot = key.lastIndexOf('.');
    const part = parts.get(dot === -1 ? '' : key.slice(0, dot));
    if (part === undefined) {
      const known = names.length === 0 ? 'none, since no layer of the model has a state' : `names that begin with ${names.join(' or ')}`;
      fail('ERR_STATE', 'state', known, key);
    }
    part[key.slice(dot + 1)] = tensor;
  }
  const missing = names.find((name) => Object.keys(parts.get(name) as object).length === 0);
  if (entries.length > 0 && missing !== undefined)
    fail('ERR_STATE', 'state', `the state of every layer, ${missing} among them`, 'none of it');
  return parts;
}
