import { fail } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { LastStep } from '../layers/last-step';
import { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { Stepper } from '../layers/recurrent/stepper';
import { RowLayer } from '../layers/row-layer';
import type { StateDict } from '../state-dict';
import { allocate, checkTensor, type DType, Tensor, type TensorData } from '../tensor';
import type { NamedLayer, SharedModel } from './shared-model';
import { joinStates, splitState } from './state-names';

/** What a function of a shape gave the last time: steps are of one shape, and a new list for each would take as long as a call of the addon. */
class ShapeMemo {
  readonly #make: (shape: readonly number[]) => readonly number[];
  #from: readonly number[] = [];
  #to: readonly number[] = [];

  constructor(make: (shape: readonly number[]) => readonly number[]) {
    this.#make = make;
  }

  of(shape: readonly number[]): readonly number[] {
    const from = this.#from;
    let isSame = from.length === shape.length && from.length > 0;
    for (let axis = 0; isSame && axis < from.length; axis++) isSame = from[axis] === shape[axis];
    if (isSame) return this.#to;
    this.#from = shape;
    this.#to = this.#make(shape);
    return this.#to;
  }
}

/** What a layer does with a step of n sequences. */
interface Stage {
  /** to be called before a step with other weights */
  use(layer: NamedLayer['layer']): void;
  /** @param shape of what comes, with a time axis of 1 while there is one */
  step(input: TensorData, shape: readonly number[]): { data: TensorData; shape: readonly number[] };
  readonly stepper?: Stepper;
}

/**
 * N sequences that come step by step: their states, and nothing of the weights, which are those of the {@link Predictor} that made it. Any number
 * of them can go on side by side.
 */
export class Stream {
  /** N */
  readonly sequences: number;
  readonly #current: () => SharedModel;
  readonly #stages: readonly Stage[];
  readonly #names: readonly string[];
  readonly #dtype: DType | undefined;
  readonly #inputShape: readonly (number | string)[];
  /** from the shape of an input to that of the first stage's, with a time axis; and from that which the last stage gave to that of the output */
  readonly #firstShape: ShapeMemo;
  readonly #outputShape: ShapeMemo;
  #model: SharedModel;

  /**
   * @param current the weights that count now
   * @internal
   */
  constructor(current: () => SharedModel, sequences: number) {
    this.sequences = sequences;
    this.#current = current;
    this.#model = current();
    const { layers } = this.#model;
    this.#names = layers.map(({ name }) => name);
    this.#stages = layers.map(({ name, layer }) => makeStage(name, layer, sequences));
    const first = layers[0]?.layer;
    const width = first instanceof RecurrentLayer ? first.inputSize : first instanceof RowLayer ? first.widths.input : undefined;
    this.#dtype = first instanceof RecurrentLayer || first instanceof RowLayer ? first.dtype : undefined;
    this.#inputShape = [sequences, ...(width === undefined ? [] : [width])];
    this.#firstShape = new ShapeMemo((shape) => [sequences, 1, ...shape.slice(1)]);
    this.#outputShape = new ShapeMemo((shape) => (shape.length > 2 ? [sequences, ...shape.slice(2)] : shape));
  }

  /**
   * The model's output for the next step of each sequence, bit by bit what predict gives for it.
   * @param input x_t [N, I], of one sequence also [I]; symbols for an Embedding [N]
   * @returns y_t [N, O], in a new tensor
   * @throws EvenkeelError ERR_SHAPE, ERR_DTYPE, ERR_STATE for a detached buffer, ERR_OPTION for anything but a tensor; the state stays as it was
   */
  step(input: Tensor): Tensor {
    this.#takeWeights();
    const { data, shape } = this.#checkInput(input);
    let made = { data, shape: this.#firstShape.of(shape) };
    for (let index = 0; index < this.#stages.length; index++) made = (this.#stages[index] as Stage).step(made.data, made.shape);
    for (let index = 0; index < this.#stages.length; index++) (this.#stages[index] as Stage).stepper?.commit();
    // A copy: the last stage may write over its output at the next step.
    return new Tensor(made.data.slice(), this.#outputShape.of(made.shape));
  }

  /**
   * The state after the last step, in copies: of each recurrent layer by its name in the model, such as `lstm.h` and `lstm.c` [N, H]. Empty before
   * the first step.
   */
  get state(): StateDict {
    return joinStates(this.#stages.map(({ stepper }, index) => [this.#names[index] as string, stepper?.state ?? {}]));
  }

  /** @throws EvenkeelError ERR_STATE for missing or unexpected names, ERR_SHAPE, ERR_DTYPE, ERR_OPTION; nothing is changed then */
  set state(state: StateDict) {
    const recurrent = this.#stages.flatMap(({ stepper }, index) =>
      stepper === undefined ? [] : [[this.#names[index] as string, stepper] as const],
    );
    const parts = splitState(
      state,
      recurrent.map(([name]) => name),
    );
    const loads = recurrent.map(([name, stepper]) => stepper.check(parts.get(name)));
    for (const load of loads) load();
  }

  /** Forgets the state: the next step is a first one. */
  reset(): void {
    this.state = {};
  }

  #takeWeights(): void {
    const model = this.#current();
    if (model === this.#model) return;
    for (const [index, { layer }] of model.layers.entries()) this.#stages[index]?.use(layer);
    this.#model = model;
  }

  #checkInput(input: Tensor): { data: TensorData; shape: readonly number[] } {
    const tensor = checkTensor('input', input, this.#dtype);
    const { shape } = tensor;
    const [sequences, width] = this.#inputShape;
    if (shape[0] === sequences && (width === undefined || (shape.length === 2 && shape[1] === width))) return tensor;
    if (sequences === 1 && shape.length === 1 && shape[0] === width) return { data: tensor.data, shape: [1, width as number] };
    return failShape(this.#inputShape, shape);
  }
}

function failShape(expected: readonly (number | string)[], got: readonly number[]): never {
  throw new EvenkeelError(
    'ERR_SHAPE',
    `input: expected shape ${formatShape(expected)}, one step of each sequence, got ${formatShape(got)}.`,
  );
}

function makeStage(name: string, layer: NamedLayer['layer'], sequences: number): Stage {
  if (layer instanceof RecurrentLayer) return recurrentStage(name, layer, sequences);
  if (layer instanceof RowLayer) return rowStage(layer, sequences);
  if (layer instanceof LastStep) return { use() {}, step: (data, [n, , ...rest]) => ({ data, shape: [n as number, ...rest] }) };
  let own = layer;
  return {
    use(other) {
      own = other;
    },
    step(data, shape) {
      const input = new Tensor(data, shape);
      return own.predict === undefined ? own.forward(input, { training: false }) : own.predict(input);
    },
  };
}

function recurrentStage(name: string, layer: RecurrentLayer<unknown>, sequences: number): Stage {
  if (layer.bidirectional) {
    fail(
      'ERR_OPTION',
      'stream',
      'a model that goes forward in time alone',
      `${name || 'the model'}, a bidirectional layer`,
      'A reverse direction begins at the end, of which a stream has none.',
    );
  }
  const stepper = new Stepper(layer, sequences);
  const { inputSize, returnSequences } = layer;
  const width = stepper.outputSize;
  const outputShape = returnSequences ? [sequences, 1, width] : [sequences, width];
  return {
    stepper,
    use(other) {
      stepper.layer = other as RecurrentLayer<unknown>;
    },
    step(data, shape) {
      if (shape.length !== 3 || shape[2] !== inputSize) failShape([sequences, 1, inputSize], shape);
      return { data: stepper.step(data), shape: outputShape };
    },
  };
}

function rowStage(layer: RowLayer<unknown>, sequences: number): Stage {
  const { input, output } = layer.widths;
  const made = allocate(layer.dtype, sequences * output);
  const outputShape = new ShapeMemo((shape) => shape.with(-1, output));
  let own = layer;
  return {
    use(other) {
      own = other as RowLayer<unknown>;
    },
    step(data, shape) {
      if (shape.at(-1) !== input || data.length !== sequences * input) failShape([sequences, 1, input], shape);
      own.predictRows(sequences, data, made);
      return { data: made, shape: outputShape.of(shape) };
    },
  };
}
