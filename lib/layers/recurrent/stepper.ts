import type { StateDict } from '../../state-dict';
import { allocate, checkTensor, Tensor, type TensorData } from '../../tensor';
import type { Level } from './level';
import type { RecurrentLayer } from './recurrent-layer';
import type { ForwardJob, Scan } from './scan';

/** A layer of a stack at a step, its rows and both of its states: what it starts from, and what it leaves. */
interface Rung {
  readonly output: TensorData;
  readonly states: [TensorData, TensorData];
}

/**
 * A recurrent layer's way through time in one direction, a step at a call, for n sequences whose states it holds. The layer may change from step to
 * step for another of the same sizes.
 */
export class Stepper {
  readonly #n: number;
  readonly #rungs: readonly Rung[];
  #layer: RecurrentLayer<unknown>;
  /** whether all states are zero */
  #isFresh = true;
  /** which of the states the next step starts from */
  #now: 0 | 1 = 0;

  constructor(layer: RecurrentLayer<unknown>, n: number) {
    this.#n = n;
    this.#layer = layer;
    this.#rungs = layer.inside.levels.map(({ scans: [scan] }) => {
      const { outputSize, stateSize } = scan as Scan;
      const make = (width: number) => allocate(layer.dtype, n * width);
      return { output: make(outputSize), states: [make(stateSize), make(stateSize)] };
    });
  }

  /** P of the last layer of the stack */
  get outputSize(): number {
    return (this.#rungs.at(-1) as Rung).output.length / this.#n;
  }

  /** @param layer of the sizes of the one before */
  set layer(layer: RecurrentLayer<unknown>) {
    this.#layer = layer;
  }

  /**
   * @param input [N, I]
   * @returns the output [N, P], which the next step overwrites
   */
  step(input: TensorData): TensorData {
    const { levels } = this.#layer.inside;
    let output = input;
    for (let index = 0; index < levels.length; index++) {
      const rung = this.#rungs[index] as Rung;
      ((levels[index] as Level).scans[0] as Scan).forward(this.#job(rung, output));
      output = rung.output;
    }
    return output;
  }

  /** Goes on from what the last step left: until then it can be made again. */
  commit(): void {
    this.#now = this.#now === 0 ? 1 : 0;
    this.#isFresh = false;
  }

  /** As carriedState has it; empty where no step was made. */
  get state(): StateDict {
    if (this.#isFresh) return {};
    const { form } = this.#layer.inside;
    const rows = allocate(this.#layer.dtype, this.#n * form.width * this.#rungs.length);
    for (const [index, { states }] of this.#rungs.entries()) rows.set(states[this.#now], index * this.#n * form.width);
    return form.toCarried(new Tensor(rows, form.shape(this.#n)));
  }

  /**
   * Checks a state, as {@link Stepper.state} gives it.
   * @returns what goes on from it
   * @throws EvenkeelError ERR_STATE, ERR_SHAPE, ERR_DTYPE or ERR_OPTION
   */
  check(state: unknown): () => void {
    const { form } = this.#layer.inside;
    const rows = form.fromCarried(state, this.#layer.dtype);
    if (rows !== undefined) checkTensor('state', rows, this.#layer.dtype, form.shape(this.#n));
    return () => this.#load(rows);
  }

  #load(checked: Tensor | undefined): void {
    this.#isFresh = checked === undefined;
    if (checked === undefined) return;
    const length = checked.size / this.#rungs.length;
    for (const [index, { states }] of this.#rungs.entries())
      states[this.#now].set(checked.data.subarray(index * length, (index + 1) * length));
  }

  #job({ output, states }: Rung, input: TensorData): ForwardJob {
    const initialState = this.#isFresh ? null : states[this.#now];
    return {
      pass: { n: this.#n, t: 1, input, initialState, output, tape: null, masks: null, stride: null, lengths: null },
      finalState: states[1 - this.#now] as TensorData,
    };
  }
}
