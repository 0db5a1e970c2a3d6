import { checkInteger, fail, readOptions } from '../check';
import type { Clipper } from '../clipping/clipper';
import { EvenkeelError } from '../errors';
import { loadState, saveState } from '../io/safetensors';
import { checkLayer, type Layer } from '../layers/layer';
import { checkOptimizer, type Optimizer } from '../optimizers/optimizer';
import { copyState, matchState, type StateDict } from '../state-dict';
import { Tensor } from '../tensor';
import { isClipper } from './clip-rule';

/** What a checkpoint saves the state of. */
export interface Trained {
  model: Layer;
  optimizer: Optimizer;
  /** the clipping rule with a memory, such as an AutoClip, if there is one */
  clipper?: Clipper;
}

const MODEL = 'model.';
const OPTIMIZER = 'optimizer.';
const CLIPPER = 'clipper.';
const STEP = 'step';

/**
 * Writes all that training needs to go on into one safetensors file, atomically: the model's state dict under `model.`, the optimiser's
 * under `optimizer.`, the clipper's under `clipper.`, and the scalar `step`.
 * @param path the file to write or replace
 * @param checkpoint.step how many steps have been made
 * @throws EvenkeelError ERR_FILE, ERR_OPTION
 */
export function saveCheckpoint(path: string, checkpoint: Trained & { step: number }): void {
  const given = readOptions('saveCheckpoint checkpoint', checkpoint, ['model', 'optimizer', 'clipper', 'step']);
  const model = checkLayer('model', given.model);
  const optimizer = checkOptimizer('optimizer', given.optimizer);
  const clipper = checkClipper(given.clipper);
  const step = checkInteger('step', given.step, 0);
  saveState(path, {
    [STEP]: new Tensor(Float64Array.of(step), []),
    ...prefixed(MODEL, model.stateDict()),
    ...prefixed(OPTIMIZER, optimizer.stateDict()),
    ...prefixed(CLIPPER, clipper?.stateDict?.() ?? {}),
  });
}

/**
 * Reads what {@link saveCheckpoint} wrote into a model, an optimiser and a clipper made with the same sizes and kinds. Nothing is changed when
 * it throws.
 * @returns how many steps had been made
 * @throws EvenkeelError ERR_FILE; ERR_STATE, ERR_SHAPE or ERR_DTYPE when the file belongs to another model, optimiser or clipper
 */
export function loadCheckpoint(path: string, trained: Trained): number {
  const given = readOptions('loadCheckpoint trained', trained, ['model', 'optimizer', 'clipper']);
  const model = checkLayer('model', given.model);
  const optimizer = checkOptimizer('optimizer', given.optimizer);
  const clipper = checkClipper(given.clipper);
  const { [STEP]: step, ...rest } = loadState(path);
  const foreign = Object.keys(rest).find((name) => ![MODEL, OPTIMIZER, CLIPPER].some((prefix) => name.startsWith(prefix)));
  if (step?.size !== 1 || !Number.isSafeInteger(step.data[0]) || foreign !== undefined) {
    const reason = foreign === undefined ? 'it has no whole number called "step"' : `it holds "${foreign.slice(0, 100)}"`;
    throw new EvenkeelError('ERR_STATE', `${path}: expected a file written by saveCheckpoint, but ${reason}.`);
  }
  const pairs = matchState('model', model.stateDict(), unprefixed(MODEL, rest));
  const undo = loadClipper(clipper, unprefixed(CLIPPER, rest));
  try {
    optimizer.loadStateDict(unprefixed(OPTIMIZER, rest));
  } catch (error) {
    undo();
    throw error;
  }
  copyState(pairs);
  return step.data[0] as number;
}

/** Loads what a clipper remembers, and returns what takes that back. */
function loadClipper(clipper: Clipper | undefined, state: StateDict): () => void {
  const before = clipper?.stateDict?.();
  if (before !== undefined) {
    clipper?.loadStateDict?.(state);
    return () => clipper?.loadStateDict?.(before);
  }
  const name = Object.keys(state)[0];
  if (name !== undefined) {
    throw new EvenkeelError(
      'ERR_STATE',
      `clipper: expected the clipper whose state the checkpoint holds ("${name.slice(0, 100)}"), got ${clipper === undefined ? 'none' : 'one that remembers nothing'}.`,
    );
  }
  return () => {};
}

function checkClipper(value: unknown): Clipper | undefined {
  if (value !== undefined && !isClipper(value)) fail('ERR_OPTION', 'clipper', 'a clipper, such as an AutoClip', value);
  return value;
}

function prefixed(prefix: string, state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([name, tensor]) => [prefix + name, tensor]));
}

function unprefixed(prefix: string, state: StateDict): StateDict {
  const own = Object.entries(state).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
