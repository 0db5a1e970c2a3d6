import { checkInteger, fail, readOptions } from '../check';
import type { Clipper } from '../clipping/clipper';
import { EvenkeelError } from '../errors';
import { loadState, saveState } from '../io/safetensors';
import { carriedStateOf, loadCarriedStateOf } from '../layers/carried-state';
import { checkLayer, type Layer } from '../layers/layer';
import { checkOptimizer, liveStateOf, type Optimizer } from '../optimizers/optimizer';
import { checkOptionalGenerator, Generator } from '../random';
import { copyState, matchState, type StateDict } from '../state-dict';
import { Tensor } from '../tensor';
import { isClipper } from './clip-rule';
import { setStepsMade } from './step-count';

/** What a checkpoint saves the state of. */
export interface Trained {
  model: Layer;
  optimizer: Optimizer;
  /** the clipping rule with a memory, such as an AutoClip, if there is one */
  clipper?: Clipper;
  /** where the order of the batches comes from, and what else is random in training */
  generator?: Generator;
}

const MODEL = 'model.';
const CARRIED = 'carried.';
const OPTIMIZER = 'optimizer.';
const CLIPPER = 'clipper.';
const GENERATOR = 'generator';
const STEP = 'step';

/**
 * Writes all that training needs to go on into one safetensors file, atomically: the model's state dict under `model.`, what its layers carry
 * from call to call, such as the state of a stateful RNN, under `carried.`, the optimiser's state dict under `optimizer.`, the clipper's under
 * `clipper.`, the generator's state as `generator`, and the scalar `step`.
 * @param path the file to write or replace
 * @param checkpoint.step how many steps have been made
 * @throws EvenkeelError ERR_FILE, ERR_OPTION
 */
export function saveCheckpoint(path: string, checkpoint: Trained & { step: number }): void {
  const { model, optimizer, clipper, generator, step } = readTrained('saveCheckpoint checkpoint', checkpoint, [...TRAINED, 'step']);
  const steps = checkInteger('step', step, 0);
  saveState(path, {
    [STEP]: new Tensor(Float64Array.of(steps), []),
    ...prefixed(MODEL, model.stateDict()),
    ...prefixed(CARRIED, carriedStateOf(model)),
    ...prefixed(OPTIMIZER, liveStateOf(optimizer)),
    ...prefixed(CLIPPER, clipper?.stateDict?.() ?? {}),
    ...(generator && { [GENERATOR]: new Tensor(Float64Array.from(generator.state), [generator.state.length]) }),
  });
}

/**
 * Reads what {@link saveCheckpoint} wrote into a model, an optimiser, a clipper and a generator made with the same sizes and kinds.
 * {@link fit} with this optimiser counts its steps on from there. Nothing is changed when it throws.
 * @returns how many steps had been made
 * @throws EvenkeelError ERR_FILE, for a file that is damaged too; ERR_STATE, ERR_SHAPE or ERR_DTYPE when the file belongs to another model,
 *   optimiser or clipper, or holds a clipper or generator that is not given, or none for one that is
 */
export function loadCheckpoint(path: string, trained: Trained): number {
  const { model, optimizer, clipper, generator } = readTrained('loadCheckpoint trained', trained, TRAINED);
  const { [STEP]: step, [GENERATOR]: generatorState, ...rest } = loadState(path);
  checkContents(path, step, Object.keys(rest));
  const pairs = matchState('model', model.stateDict(), unprefixed(MODEL, rest));
  const restoreGenerator = matchGenerator(generator, generatorState);
  const undo: (() => void)[] = [];
  try {
    undo.push(loadClipper(clipper, unprefixed(CLIPPER, rest)));
    undo.push(loadCarried(model, unprefixed(CARRIED, rest)));
    optimizer.loadStateDict(unprefixed(OPTIMIZER, rest));
  } catch (error) {
    for (const takeBack of undo) takeBack();
    throw error;
  }
  copyState(pairs);
  restoreGenerator();
  const steps = step?.data[0] as number;
  setStepsMade(optimizer, steps);
  return steps;
}

const TRAINED = ['model', 'optimizer', 'clipper', 'generator'] as const;

function readTrained(where: string, value: unknown, known: readonly (keyof Trained | 'step')[]): Trained & { step: unknown } {
  const { model, optimizer, clipper, generator, step } = readOptions(where, value, known);
  if (clipper !== undefined && !isClipper(clipper)) fail('ERR_OPTION', 'clipper', 'a clipper, such as an AutoClip', clipper);
  return {
    model: checkLayer('model', model),
    optimizer: checkOptimizer('optimizer', optimizer),
    clipper,
    generator: checkOptionalGenerator('generator', generator),
    step,
  };
}

function checkContents(path: string, step: Tensor | undefined, names: readonly string[]): void {
  const foreign = names.find((name) => ![MODEL, CARRIED, OPTIMIZER, CLIPPER].some((prefix) => name.startsWith(prefix)));
  if (step?.size === 1 && Number.isSafeInteger(step.data[0]) && foreign === undefined) return;
  const reason = foreign === undefined ? 'it has no whole number called "step"' : `it holds "${foreign.slice(0, 100)}"`;
  throw new EvenkeelError('ERR_STATE', `${path}: expected a file written by saveCheckpoint, but ${reason}.`);
}

/** Checks a generator's state, and returns what lets the generator go on from it. */
function matchGenerator(generator: Generator | undefined, state: Tensor | undefined): () => void {
  if ((generator === undefined) !== (state === undefined)) {
    const [expected, got] = generator === undefined ? ['the generator whose state the checkpoint holds', 'none'] : ['none', 'one'];
    throw new EvenkeelError('ERR_STATE', `generator: expected ${expected}, got ${got}.`);
  }
  if (generator === undefined || state === undefined) return () => {};
  const restored = Generator.from([...state.data]);
  return () => {
    generator.state = restored.state;
  };
}

/** Loads what layers carry, and returns what takes that back. */
function loadCarried(model: Layer, state: StateDict): () => void {
  const before = carriedStateOf(model);
  loadCarriedStateOf(model, state);
  return () => loadCarriedStateOf(model, before);
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

function prefixed(prefix: string, state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([name, tensor]) => [prefix + name, tensor]));
}

function unprefixed(prefix: string, state: StateDict): StateDict {
  const own = Object.entries(state).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
