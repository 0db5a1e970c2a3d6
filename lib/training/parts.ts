import type { Clipper } from '../clipping/clipper';
import { EvenkeelError } from '../errors';
import { carriedStateOf, loadCarriedStateOf } from '../layers/carried-state';
import type { Layer } from '../layers/layer';
import { liveStateOf, type Optimizer } from '../optimizers/optimizer';
import type { Generator } from '../random';
import { copyState, generatorState, matchGeneratorState, matchState, type StateDict, scalar } from '../state-dict';
import type { Part } from './part';
import { setStepsMade, stepsMade } from './step-count';

/** The weights, and whatever else is in the state dict. */
export function modelPart(model: Layer): Part {
  return {
    state: () => model.stateDict(),
    check: (state) => void matchState('model', model.stateDict(), state),
    load: (state) => copyState(matchState('model', model.stateDict(), state)),
  };
}

/** What layers carry from call to call: states, and where their random generators are. */
export function carriedPart(model: Layer): Part {
  return { state: () => carriedStateOf(model), load: (state) => loadCarriedStateOf(model, state) };
}

export function optimizerPart(optimizer: Optimizer): Part {
  return { state: () => liveStateOf(optimizer), load: (state) => optimizer.loadStateDict(state) };
}

/** How many steps were made. It is loaded after the optimiser, which counts those that were not refused. */
export function stepPart(optimizer: Optimizer): Part {
  return {
    state: () => ({ '': scalar(stepsMade(optimizer)) }),
    check({ '': step }) {
      if (step?.size === 1 && Number.isSafeInteger(step.data[0])) return;
      throw new EvenkeelError('ERR_STATE', 'expected a file written by saveCheckpoint, but it has no whole number called "step".');
    },
    load: ({ '': step }) => setStepsMade(optimizer, step?.data[0] as number),
  };
}

/** A rule without a memory, or none, has no state. */
export function clipperPart(clipper: Clipper | undefined): Part {
  return {
    state: () => clipper?.stateDict?.() ?? {},
    load(state) {
      if (clipper?.stateDict !== undefined) clipper.loadStateDict?.(state);
      else failUnasked('clipper', 'the clipper', state, clipper === undefined ? 'none' : 'one that remembers nothing');
    },
  };
}

export function generatorPart(generator: Generator | undefined): Part {
  return {
    state: (): StateDict => (generator === undefined ? {} : { '': generatorState(generator) }),
    load({ '': state }) {
      if ((generator === undefined) !== (state === undefined)) {
        const [expected, got] = generator === undefined ? ['the generator whose state the checkpoint holds', 'none'] : ['none', 'one'];
        throw new EvenkeelError('ERR_STATE', `generator: expected ${expected}, got ${got}.`);
      }
      if (generator !== undefined) matchGeneratorState('generator', generator, state)();
    },
  };
}

/** Batches that carry something from epoch to epoch, as those of makeBatches do. */
export interface CarriesState {
  /** what the next iteration goes on from, such as the state of a random generator */
  carriedState?(): StateDict;
  /** goes on from what carriedState gave; nothing is changed when it throws */
  loadCarriedState?(state: StateDict): void;
}

/** @param name of the option that the batches were given as */
export function batchesPart(name: string, batches: CarriesState): Part {
  return {
    state: () => batches.carriedState?.() ?? {},
    load(state) {
      if (batches.loadCarriedState !== undefined) batches.loadCarriedState(state);
      else failUnasked(name, 'batches with the random order', state, 'some that carry nothing');
    },
  };
}

/**
 * What an option of fit keeps. A checkpoint of a training that did not have the option, or that had it, belongs to another training: whoever went
 * on without it would end elsewhere, and not know.
 * @param part undefined where the option is not given
 */
export function optionPart(option: string, part: Part | undefined): Part {
  return {
    state: () => part?.state() ?? {},
    load(state) {
      const isThere = Object.keys(state).length > 0;
      if (isThere === (part !== undefined)) return part?.load(state);
      const [expected, got] = isThere
        ? ['the option whose state the checkpoint holds', 'none']
        : ['none, as when the checkpoint was written', 'one'];
      throw new EvenkeelError(
        'ERR_STATE',
        `${option}: expected ${expected}, got ${got}. Give the options as then; or begin another training from its weights, with loadCheckpoint in place of resume.`,
      );
    },
  };
}

function failUnasked(name: string, what: string, state: StateDict, got: string): void {
  const [first] = Object.keys(state);
  if (first === undefined) return;
  throw new EvenkeelError(
    'ERR_STATE',
    `${name}: expected ${what} whose state the checkpoint holds ("${first.slice(0, 100)}"), got ${got}.`,
  );
}
