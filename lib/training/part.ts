import { EvenkeelError } from '../errors';
import { copyOfState, type StateDict } from '../state-dict';

/**
 * Something with a state in a training, such as the optimiser: a checkpoint holds it under the part's name, and a training that goes on loads it.
 * Whatever changes from step to step is one.
 */
export interface Part {
  /** Its tensors by name, which may be live; '' for the only one. */
  state(): StateDict;
  /** Takes a state over; nothing is changed when it throws. */
  load(state: StateDict): void;
  /** Throws where load would; left out where something else is more likely to tell what is wrong. Looked at before any part is loaded. */
  check?(state: StateDict): void;
}

/** Parts by name, in the order in which they are loaded. */
export type Parts = Readonly<Record<string, Part>>;

/** The states of all parts, `part.tensor` by name. */
export function stateOfParts(parts: Parts): StateDict {
  return Object.fromEntries(Object.entries(parts).flatMap(([name, part]) => Object.entries(prefixed(name, part.state()))));
}

/**
 * Loads all parts or none.
 * @param ignored names of parts that may be in the state and are not asked for
 * @throws EvenkeelError ERR_STATE for a name that belongs to no part; what a part throws, after the others have their states back
 */
export function loadParts(parts: Parts, state: StateDict, ignored: readonly string[] = []): void {
  for (const name of Object.keys(state)) {
    const [owner = ''] = name.split('.');
    if (Object.hasOwn(parts, owner) || ignored.includes(owner)) continue;
    throw new EvenkeelError('ERR_STATE', `expected a file written by saveCheckpoint, but it holds "${name.slice(0, 100)}".`);
  }
  const entries = Object.entries(parts);
  for (const [name, part] of entries) part.check?.(unprefixed(name, state));
  const undo: (() => void)[] = [];
  try {
    for (const [index, [name, part]] of entries.entries()) {
      // The last one is the model, of which there need not be another copy: what throws has changed nothing.
      const before = index < entries.length - 1 ? copyOfState(part.state()) : {};
      part.load(unprefixed(name, state));
      undo.push(() => part.load(before));
    }
  } catch (error) {
    // In the order of loading: the number of steps is relative to the optimiser's.
    for (const takeBack of undo) takeBack();
    throw error;
  }
}

/** `name.key` for each key, and `name` for ''. */
export function prefixed(name: string, state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([key, tensor]) => [key === '' ? name : `${name}.${key}`, tensor]));
}

/** The inverse of {@link prefixed}; what has another prefix is left out. */
export function unprefixed(name: string, state: StateDict): StateDict {
  const own = Object.entries(state).filter(([key]) => key === name || key.startsWith(`${name}.`));
  return Object.fromEntries(own.map(([key, tensor]) => [key.slice(name.length + 1), tensor]));
}
