import { types } from 'node:util';
import { checkInteger, fail, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { checkLayer, type Layer } from '../layers/layer';
import { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { checkLengths, type Lengths, lengthsOf } from '../lengths';
import type { StateDict } from '../state-dict';
import { checkTensor, type Tensor } from '../tensor';
import { describeLayer } from './architecture';
import { SharedModel } from './shared-model';
import { joinStates, splitState } from './state-names';
import { Stream } from './stream';

/** What {@link Predictor.share} gives: can be posted to another thread, where no weight is copied. */
export interface PredictorHandle {
  /** the model's layers and options, as JSON */
  readonly architecture: string;
  readonly weights: SharedArrayBuffer;
}

/** Options of {@link Predictor.run}. */
export interface RunOptions {
  /** how many steps of each sequence count, as of {@link Layer.forward} */
  lengths?: Lengths;
  /** what an earlier run left: the sequences go on from there; from zero unless given */
  state?: Readonly<Record<string, Tensor>>;
}

/**
 * A model in use: a copy of its weights, without gradients, packed once. Its numbers are those of the model's predict, bit by bit. A call is
 * synchronous and changes nothing that another can see, so one predictor serves any number of sequences, and its weights any number of
 * threads: they lie in shared memory, which {@link Predictor.share} hands on.
 *
 * @example
 * const model = new Sequential({ lstm: new LSTM({ inputSize: 8, hiddenSize: 32 }), head: new Linear({ inputSize: 32, outputSize: 1 }) });
 * const predictor = new Predictor(model);
 * const { output, state } = predictor.run(Tensor.randn([4, 100, 8])); // [4, 100, 1], and where the sequences are
 * const next = predictor.run(Tensor.randn([4, 1, 8]), { state }); // one step further
 * const stream = predictor.stream(); // a sequence that comes step by step
 * const y = stream.step(Tensor.randn([1, 8])); // [1, 1]
 */
export class Predictor {
  #model: SharedModel;
  #own: Stream | undefined;

  /**
   * @param model of this package's layers, and of your own that {@link registerLayer} knows; the predictor keeps a copy of its weights
   * @throws EvenkeelError ERR_OPTION for a layer that has no name, ERR_STATE for a parameter whose buffer is gone, ERR_MEMORY
   */
  constructor(model: Layer) {
    this.#model = SharedModel.is(model) ? model : copyOf(model);
  }

  /**
   * A predictor with the weights of another one, which are not copied, in the same thread or in one that the handle was posted to.
   * @throws EvenkeelError ERR_OPTION for anything but what {@link Predictor.share} gave, and for a layer of your own that this thread has not
   * registered
   */
  static from(handle: PredictorHandle): Predictor {
    return new Predictor(modelOf(handle) as unknown as Layer);
  }

  /**
   * What another thread needs to have the same weights: `worker.postMessage(predictor.share())`, and there {@link Predictor.from} or
   * {@link Predictor.update}. Nothing is copied.
   */
  share(): PredictorHandle {
    const { architecture, weights } = this.#model;
    return { architecture, weights };
  }

  /**
   * Takes new weights over: a call has those of before or these, never some of each. Streams go on from their states. What was shared before keeps
   * the weights that it had.
   * @param source the model, or another of the same layers and options, or what {@link Predictor.share} gave in any thread
   * @throws EvenkeelError ERR_STATE for a model of other layers or options, ERR_OPTION for what is neither a model nor a handle; the weights stay
   * as they were
   */
  update(source: Layer | PredictorHandle): void {
    const isHandle = readSafely('source', () => typeof source === 'object' && source !== null && 'architecture' in source);
    const { architecture } = this.#model;
    this.#model = isHandle ? modelOf(source as PredictorHandle, architecture) : copyOf(source as Layer, architecture);
  }

  /**
   * The model's output for whole sequences, or for parts of them that go on where others ended.
   * @param input as the model takes it, such as [N, T, I]
   * @returns the output, and the state after it: of each recurrent layer by its name in the model, such as `lstm.h` and `lstm.c` [N, H]
   * @throws EvenkeelError as the model's predict does; ERR_STATE, ERR_SHAPE, ERR_DTYPE for another state than a run gave
   */
  run(input: Tensor, options: RunOptions = {}): { output: Tensor; state: Record<string, Tensor> } {
    const given = readOptions('run options', options, ['lengths', 'state'], { state: {} });
    const lengths = checkLengths(given.lengths, checkTensor('input', input).shape, 'either');
    const { layers } = this.#model;
    const recurrent = layers.filter(({ layer }) => layer instanceof RecurrentLayer).map(({ name }) => name);
    const parts = splitState(given.state, recurrent);
    const states: [name: string, state: StateDict][] = [];
    let output = input;
    for (const { name, layer } of layers) {
      const own = lengthsOf(output, input, lengths);
      if (layer instanceof RecurrentLayer) {
        const made = layer.predictFrom(output, own, parts.get(name) as StateDict);
        output = made.output;
        states.push([name, made.state]);
      } else if (layer.predict !== undefined) output = layer.predict(output, own && { lengths: own });
      else output = layer.forward(output, { lengths: own, training: false });
    }
    return { output, state: joinStates(states) };
  }

  /**
   * Sequences that come step by step, from zero states on.
   * @param sequences how many; 1 unless given
   * @throws EvenkeelError ERR_OPTION for a model with a bidirectional layer, and for anything but a whole number from 1 on
   */
  stream(sequences = 1): Stream {
    return new Stream(() => this.#model, checkInteger('sequences', sequences, 1, MOST_SEQUENCES));
  }

  /** The next step of the predictor's own stream, which is of one sequence: see {@link Stream.step}. */
  step(input: Tensor): Tensor {
    this.#own ??= this.stream();
    return this.#own.step(input);
  }
}

/** As many as one call of the addon takes. */
const MOST_SEQUENCES = 2 ** 31 - 1;

function copyOf(model: Layer, expected?: string): SharedModel {
  const layer = checkLayer('model', model);
  const architecture = JSON.stringify(describeLayer(layer));
  if (expected !== undefined) checkSame(architecture, expected);
  const state = readSafely('model', () => layer.stateDict());
  for (const [name, tensor] of Object.entries(state)) checkTensor(name, tensor);
  return SharedModel.of(architecture, state);
}

function modelOf(handle: PredictorHandle, expected?: string): SharedModel {
  const given = readOptions('handle', handle, ['architecture', 'weights']);
  const { architecture, weights } = given;
  if (!types.isSharedArrayBuffer(weights)) fail('ERR_OPTION', 'handle.weights', 'a SharedArrayBuffer', weights);
  if (typeof architecture !== 'string') fail('ERR_OPTION', 'handle.architecture', 'a text', architecture);
  if (expected !== undefined) checkSame(architecture, expected);
  try {
    return SharedModel.over(architecture, weights);
  } catch (cause) {
    if (cause instanceof EvenkeelError && cause.code === 'ERR_MEMORY') throw cause;
    throw new EvenkeelError('ERR_OPTION', `handle: expected what Predictor.share gave. ${(cause as Error).message}`, { cause });
  }
}

function checkSame(architecture: string, expected: string): void {
  if (architecture === expected) return;
  throw new EvenkeelError('ERR_STATE', 'source: expected a model of the same layers and options as the one before. Make a new Predictor.');
}
