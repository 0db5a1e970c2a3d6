import { setImmediate } from 'node:timers/promises';
import { loadState } from '../io/safetensors';
import { copyOfState, type StateDict } from '../state-dict';
import { Workspace } from '../workspace';
import { AveragedWeights } from './averaged-weights';
import { partsOf } from './checkpoint';
import { areSame, besides, loadNewest, saveParts } from './checkpoint-files';
import { EarlyStopping } from './early-stopping';
import { HistoryPart } from './history';
import { type Part, type Parts, stateOfParts, unprefixed } from './part';
import { batchesPart, generatorPart, optionPart } from './parts';
import { Position } from './position';
import { ProgressLines } from './progress-lines';
import type { Run } from './run';
import { ScheduledRates } from './scheduled-rates';
import { StateWatch } from './state-watch';
import { stepsMade } from './step-count';
import { StepGuard } from './step-guard';

/** How long fit may keep the event loop between two steps. */
const YIELD_AFTER_MS = 10;

/** What waiting for batches and a validation may change: the parts of which an abort writes what they were after the last whole step. */
const HELD = ['carried', 'generator', 'batches', 'validation_batches'] as const;

/** A fit under way: all that changes in it, and its checkpoints. */
export class Training {
  readonly guard: StepGuard;
  readonly workspace = new Workspace();
  readonly states: StateWatch;
  readonly records: HistoryPart;
  readonly position: Position;
  readonly rates: ScheduledRates;
  readonly averages: AveragedWeights | undefined;
  readonly stopping: EarlyStopping | undefined;
  readonly progress: ProgressLines | undefined;
  /** the last one made */
  step: number;
  /** whether something happened since the last checkpoint */
  isUnsaved = false;
  readonly #run: Run;
  readonly #parts: Parts;
  #held: StateDict = {};
  /** whether what is at the checkpoint's path was passed over */
  #isSpoilt = false;
  #lastYield = performance.now();

  constructor(run: Run) {
    this.#run = run;
    this.guard = new StepGuard(run);
    this.states = new StateWatch(run.recurrentLayers);
    this.records = new HistoryPart(run.gradientFlow !== undefined);
    const batches = batchesPart('batches', run.batches);
    this.position = new Position({ generator: generatorPart(run.generator), batches });
    this.rates = new ScheduledRates(run.optimizer, run.schedule?.schedule);
    this.averages = run.averaging && new AveragedWeights(run.parameters, run.averaging.decay);
    this.stopping = run.earlyStopping && new EarlyStopping(run.earlyStopping, run.model);
    this.progress = run.progress && new ProgressLines(run.progress, run.epochs);
    this.step = stepsMade(run.optimizer);
    const { model, ...others } = partsOf(run);
    this.#parts = {
      ...others,
      batches,
      validation_batches: run.validation ? batchesPart('validation.batches', run.validation.batches) : optionPart('validation', undefined),
      schedule: optionPart('schedule', run.schedule && this.rates),
      early_stopping: optionPart('earlyStopping', this.stopping),
      averaged: optionPart('averaging', this.averages),
      states: this.states,
      history: this.records,
      position: this.position,
      model: model as Part,
    };
  }

  /** Whether there is nothing more to do. */
  get isOver(): boolean {
    return this.position.hasEnded || this.position.epoch > this.#run.epochs;
  }

  /** Goes on from a checkpoint, if it is asked to and there is one. */
  resume(): void {
    const { resume, checkpoint } = this.#run;
    if (resume === undefined) return;
    const loaded = loadNewest(resume.path, checkpoint?.keep ?? 1, this.#parts);
    // Says that there is no such file.
    if (loaded === undefined && resume.isNeeded) loadState(resume.path);
    const isPassedOver = loaded !== undefined && loaded !== resume.path;
    this.#isSpoilt = isPassedOver && checkpoint !== undefined && areSame(checkpoint.path, resume.path);
    this.step = stepsMade(this.#run.optimizer);
  }

  save(): void {
    this.#save(this.#parts);
  }

  /** After a step or an epoch: remembers what the next batches may change, for an abort while they are waited for. */
  hold(): void {
    const { checkpoint, signal } = this.#run;
    if (checkpoint === undefined || signal === undefined) return;
    this.#held = copyOfState(stateOfParts(Object.fromEntries(HELD.map((name) => [name, this.#parts[name] as Part]))));
  }

  /** Writes the training as it was after the last whole step or epoch. */
  saveHeld(): void {
    const held = HELD.map((name): [string, Part] => [name, { load: () => {}, state: () => unprefixed(name, this.#held) }]);
    this.#save({ ...this.#parts, ...Object.fromEntries(held) });
  }

  #save(parts: Parts): void {
    const { checkpoint } = this.#run;
    if (checkpoint !== undefined) saveParts(checkpoint.path, checkpoint.keep, parts, this.#isSpoilt);
    this.#isSpoilt = false;
    this.isUnsaved = false;
  }

  /** Beside the others, the one of the best value. */
  saveBest(): void {
    const { checkpoint } = this.#run;
    if (checkpoint !== undefined) saveParts(besides(checkpoint.path, 'best'), 1, this.#parts);
  }

  /** Gives the model what it is to have in the end. */
  finish(): void {
    this.averages?.swapIn();
    this.stopping?.restore();
  }

  /** Lets the event loop run, if it has waited for long. */
  readonly breathe = async (): Promise<void> => {
    if (performance.now() - this.#lastYield < YIELD_AFTER_MS) return;
    await setImmediate();
    this.#lastYield = performance.now();
  };
}
