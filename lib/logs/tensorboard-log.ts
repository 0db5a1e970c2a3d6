import { hostname } from 'node:os';
import { join } from 'node:path';
import { checkInteger, checkString, fail, readOptions, readSafely } from '../check';
import { AppendedFile } from '../io/appended-file';
import { checkPath } from '../io/file';
import { prepareFolder } from '../io/folder';
import { checkParameters, type Parameter } from '../parameter';
import type { GradientFlow } from '../stability/flow';
import { checkTensor, type Tensor } from '../tensor';
import { frame, histogramValue, scalarValue, summaryEvent, versionEvent } from './event-file';
import { histogramOf } from './histogram';
import { numbersOf } from './record';

/** Options of {@link TensorBoardLog}. */
export interface TensorBoardLogOptions {
  /** whose values and gradients are written as histograms; none unless given */
  parameters?: readonly Parameter[];
  /** after how many steps histograms are written; 100 unless given */
  histogramsEvery?: number;
}

/** Files of this process, whose names must differ within a second. */
let files = 0;

/**
 * A log of a training for TensorBoard: `tensorboard --logdir runs`, with a folder in `runs` for each training. Its functions are callbacks of
 * {@link fit}. Records are whole, so TensorBoard can read while the training goes on; at most a second of them waits to be written,
 * where the event loop runs or records come.
 *
 * @example
 * const model = new Sequential({ rnn: new RNN({ inputSize: 2, hiddenSize: 16 }), last: new LastStep(), head: new Linear({ inputSize: 16, outputSize: 1 }) });
 * const log = new TensorBoardLog('runs/first', { parameters: model.parameters() });
 * await fit(model, addingProblem({ batchSize: 8, sequenceLength: 20, batches: 30, generator: new Generator(1) }), {
 *   loss: mseLoss,
 *   optimizer: new Adam(model.parameters()),
 *   onStep: log.onStep,
 *   gradientFlow: { every: 10 },
 * });
 * log.close();
 */
export class TensorBoardLog {
  /** The event file. */
  readonly path: string;
  readonly #file: AppendedFile;
  readonly #parameters: readonly Parameter[];
  readonly #histogramsEvery: number;

  /**
   * @param folder of this training; it is made if it is not there
   * @throws EvenkeelError ERR_FILE when no file can be written there, ERR_OPTION
   */
  constructor(folder: string, options: TensorBoardLogOptions = {}) {
    const given = readOptions('TensorBoardLog options', options, ['parameters', 'histogramsEvery'], { histogramsEvery: 100 });
    this.#parameters = given.parameters === undefined ? [] : checkParameters('parameters', given.parameters);
    this.#histogramsEvery = checkInteger('histogramsEvery', given.histogramsEvery, 1);
    checkPath('folder', folder);
    prepareFolder(folder);
    const seconds = String(Math.floor(now())).padStart(10, '0');
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${files++}`);
    this.#file = new AppendedFile(this.path, 'ax');
    this.#file.append(frame(versionEvent(now())));
    this.flush();
  }

  /**
   * For `onStep`: every number of the record as a scalar, under `step/`; where it has a gradientFlow, that too; after every so many steps histograms
   * of the parameters, under their names, and of their gradients, under `gradients/`, as clipping left them.
   * @throws EvenkeelError ERR_FILE when the file cannot be written, ERR_OPTION for another record
   */
  readonly onStep = (record: object): void => {
    const { step, numbers } = numbersOf('record', record);
    this.#write(step, scalarsOf('step/', numbers));
    const { flow } = readSafely('record', () => ({ flow: (record as { gradientFlow?: GradientFlow }).gradientFlow }));
    if (flow !== undefined) this.gradientFlow(flow, step);
    if (step % this.#histogramsEvery !== 0) return;
    for (const { name, value, grad } of this.#parameters) {
      this.histogram(`parameters/${name}`, value, step);
      this.histogram(`gradients/${name}`, grad, step);
    }
  };

  /**
   * For `onEpoch`: every number of the record as a scalar, under `epoch/`, at the step with which the epoch ended.
   * @throws EvenkeelError ERR_FILE when the file cannot be written, ERR_OPTION for another record
   */
  readonly onEpoch = (record: object): void => {
    const { step, numbers } = numbersOf('record', record);
    this.#write(step, scalarsOf('epoch/', numbers));
    this.flush();
  };

  /**
   * How the gradient flows back through time: the growth rate of each recurrent layer, under `growth-rate/`, and the histogram of its ln‖∂L/∂h_t‖
   * over the steps of time.
   * @throws EvenkeelError ERR_FILE when the file cannot be written, ERR_OPTION for anything but what gradientFlow or fit gave
   */
  gradientFlow(flow: GradientFlow, step: number): void {
    checkInteger('step', step, 0);
    const layers = readSafely('flow', () =>
      flow.layers.map(({ name, growthRate, logNorms }) => ({ name: checkString('flow.layers.name', name), growthRate, logNorms })),
    );
    for (const { name, growthRate, logNorms } of layers) {
      this.scalar(`growth-rate/${name}`, growthRate, step);
      const histogram =
        logNorms instanceof Float64Array ? histogramOf(logNorms) : fail('ERR_OPTION', 'flow.layers.logNorms', 'a Float64Array', logNorms);
      if (histogram !== undefined) this.#write(step, [histogramValue(`log-gradient-norms/${name}`, histogram)]);
    }
  }

  /**
   * One number; those beyond float32's range are written as infinite.
   * @throws EvenkeelError ERR_FILE when the file cannot be written, ERR_OPTION
   */
  scalar(name: string, value: number, step: number): void {
    if (typeof value !== 'number') fail('ERR_OPTION', 'value', 'a number', value);
    this.#write(checkInteger('step', step, 0), [scalarValue(checkString('name', name), value)]);
  }

  /**
   * How the elements of a tensor are distributed, but for those that are not finite.
   * @throws EvenkeelError ERR_FILE when the file cannot be written, ERR_OPTION, ERR_STATE
   */
  histogram(name: string, tensor: Tensor, step: number): void {
    const histogram = histogramOf(checkTensor('tensor', tensor).data);
    checkInteger('step', step, 0);
    if (histogram !== undefined) this.#write(step, [histogramValue(checkString('name', name), histogram)]);
  }

  /** Writes what waits. */
  flush(): void {
    this.#file.flush();
  }

  /** Writes what waits, and ends the log: what comes later is passed over. */
  close(): void {
    this.#file.close();
  }

  #write(step: number, values: readonly Uint8Array[]): void {
    if (values.length > 0) this.#file.append(frame(summaryEvent(now(), step, values)));
  }
}

/** Seconds since 1970. */
const now = () => Date.now() / 1000;

/** What says when the others were: TensorBoard shows it already. */
const PLACES: ReadonlySet<string> = new Set(['step']);

function scalarsOf(prefix: string, numbers: readonly (readonly [name: string, value: number])[]): Uint8Array[] {
  return numbers.filter(([name]) => !PLACES.has(name)).map(([name, value]) => scalarValue(prefix + name, value));
}
