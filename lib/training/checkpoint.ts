import { checkInteger, fail, readOptions } from '../check';
import type { Clipper } from '../clipping/clipper';
import { EvenkeelError } from '../errors';
import { loadState, saveState } from '../io/safetensors';
import { checkLayer, type Layer } from '../layers/layer';
import { checkOptimizer, type Optimizer } from '../optimizers/optimizer';
import { checkOptionalGenerator, type Generator } from '../random';
import { scalar } from '../state-dict';
import { isClipper } from './clip-rule';
import { loadParts, type Parts, stateOfParts } from './part';
import { carriedPart, clipperPart, generatorPart, modelPart, optimizerPart, stepPart } from './parts';
import { stepsMade } from './step-count';

/** What a checkpoint saves the state of. */
export interface Trained {
  model: Layer;
  optimizer: Optimizer;
  /** the clipping rule with a memory, such as an AutoClip, if there is one */
  clipper?: Clipper;
  /** where the order of the batches comes from, and what else is random in training */
  generator?: Generator;
}

/** What is in a checkpoint of {@link fit} besides: of use to a fit that goes on alone. */
export const PARTS_OF_FIT = [
  'batches',
  'validation_batches',
  'schedule',
  'early_stopping',
  'averaged',
  'states',
  'history',
  'position',
] as const;

/** The parts that every checkpoint has, the model last. */
export function partsOf({ model, optimizer, clipper, generator }: Trained): Parts {
  return {
    clipper: clipperPart(clipper),
    carried: carriedPart(model),
    generator: generatorPart(generator),
    optimizer: optimizerPart(optimizer),
    step: stepPart(optimizer),
    model: modelPart(model),
  };
}

/**
 * Writes all that training needs to go on into one safetensors file, atomically: the model's state dict under `model.`, what its layers carry
 * from call to call, such as the state of a stateful RNN, under `carried.`, the optimiser's state dict under `optimizer.`, the clipper's under
 * `clipper.`, the generator's state as `generator`, and the scalar `step`. {@link fit} writes such files, and more into them.
 * @param path the file to write or replace
 * @param checkpoint.step how many steps have been made
 * @throws EvenkeelError ERR_FILE, ERR_OPTION
 */
export function saveCheckpoint(path: string, checkpoint: Trained & { step: number }): void {
  const { step, ...trained } = readTrained('saveCheckpoint checkpoint', checkpoint, [...TRAINED, 'step']);
  saveState(path, { ...stateOfParts(partsOf(trained)), step: scalar(checkInteger('step', step, 0)) });
}

/**
 * Reads what {@link saveCheckpoint} wrote into a model, an optimiser, a clipper and a generator made with the same sizes and kinds.
 * {@link fit} with this optimiser counts its steps on from there. Nothing is changed when it throws.
 * @returns how many steps had been made
 * @throws EvenkeelError ERR_FILE, for a file that is damaged too; ERR_STATE, ERR_SHAPE or ERR_DTYPE when the file belongs to another model,
 *   optimiser or clipper, or holds a clipper or generator that is not given, or none for one that is
 */
export function loadCheckpoint(path: string, trained: Trained): number {
  const read = readTrained('loadCheckpoint trained', trained, TRAINED);
  const state = loadState(path);
  try {
    loadParts(partsOf(read), state, PARTS_OF_FIT);
  } catch (error) {
    throw atPath(path, error);
  }
  return stepsMade(read.optimizer);
}

/** The path before an error of a file's contents. */
export function atPath(path: string, error: unknown): unknown {
  return error instanceof EvenkeelError ? new EvenkeelError(error.code, `${path}: ${error.message}`, { cause: error }) : error;
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
