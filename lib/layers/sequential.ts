import { checkBoolean, fail, isPlainObject, readOptions, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { checkLengths, lengthsOf } from '../lengths';
import { Parameter } from '../parameter';
import { copyState, matchState, type StateDict } from '../state-dict';
import { checkTensor, type Tensor } from '../tensor';
import { carriedStateOf, loadCarriedStateOf } from './carried-state';
import {
  BACKWARD_DEFAULTS,
  type BackwardOptions,
  checkLayer,
  countForward,
  FORWARD_DEFAULTS,
  type ForwardOptions,
  failNoForward,
  forwardCallsOf,
  type Layer,
  type PredictOptions,
} from './layer';
import { type Summary, type SummaryOptions, summarize } from './summary';

/**
 * Layers one after another. Names of parameters and of the state dict are prefixed with the layer's: `rnn.weight_ih_l0`.
 * The layers belong to it: between its forward and backward call none may be called on its own.
 *
 * @example
 * const model = new Sequential({
 *   gru: new GRU({ inputSize: 4, hiddenSize: 16, returnSequences: false }),
 *   head: new Linear({ inputSize: 16, outputSize: 1 }),
 * });
 * const output = model.predict(Tensor.randn([8, 30, 4])); // [8, 1]
 * console.log(Object.keys(model.stateDict())); // gru.weight_ih_l0, …, head.bias
 */
export class Sequential implements Layer {
  readonly #layers: readonly (readonly [name: string, layer: Layer])[];
  readonly #parameters: readonly Parameter[];
  /** of the last forward call, until backward is done: its input, and which of each layer's forward calls was its own */
  #pass: { readonly input: Tensor; readonly calls: readonly number[] } | undefined;

  /**
   * @param layers a record by name, or an array, whose layers are named "0", "1", …; anything with a layer's methods will do.
   *   Their parameters are asked for once, here.
   * @throws EvenkeelError ERR_OPTION when something is not a layer, stands there twice, or has an unusable name
   */
  constructor(layers: Readonly<Record<string, Layer>> | readonly Layer[]) {
    this.#layers = checkChildren(layers);
    this.#checkDifferent();
    this.#parameters = this.#layers.flatMap(([name, layer]) =>
      readSafely(`layers.${name}`, () =>
        layer.parameters().map(({ name: own, value, grad }) => new Parameter(`${name}.${own}`, value, grad)),
      ),
    );
  }

  /** The layers by name. */
  get layers(): Record<string, Layer> {
    return Object.fromEntries(this.#layers);
  }

  /** What the constructor takes, as a record: `{ layers }`, an array where the layers were given as one. */
  get options(): { readonly layers: Record<string, Layer> | readonly Layer[] } {
    const isList = this.#layers.every(([name], index) => name === String(index));
    return { layers: isList ? this.#layers.map(([, layer]) => layer) : this.layers };
  }

  /**
   * Each layer's output is the next one's input. Options are handed on to every layer, lengths as long as there are T steps.
   * @throws EvenkeelError as the layers do, ERR_SHAPE or ERR_OPTION for the lengths
   */
  forward(input: Tensor, options?: ForwardOptions): Tensor {
    const given =
      options === undefined ? FORWARD_DEFAULTS : readOptions('forward options', options, ['lengths', 'training'], FORWARD_DEFAULTS);
    const training = checkBoolean('training', given.training);
    const lengths = this.#checkInput(input, given.lengths);
    this.#pass = undefined;
    countForward(this);
    const calls: number[] = [];
    let output = input;
    for (const [, layer] of this.#layers) {
      const own = lengthsOf(output, input, lengths);
      output = own === undefined && training ? layer.forward(output) : layer.forward(output, { lengths: own, training });
      calls.push(countForward(layer));
    }
    if (training) this.#pass = { input, calls };
    return output;
  }

  /**
   * What forward gives outside training. It keeps nothing, and does not disturb a forward call that waits for its backward call, but for a
   * layer of yours that has no predict.
   * @throws EvenkeelError as forward does
   */
  predict(input: Tensor, options: PredictOptions = {}): Tensor {
    const given = readOptions('predict options', options, ['lengths']);
    const lengths = this.#checkInput(input, given.lengths);
    let output = input;
    for (const [, layer] of this.#layers) {
      const own = lengthsOf(output, input, lengths);
      if (layer.predict !== undefined) output = layer.predict(output, own && { lengths: own });
      else {
        output = layer.forward(output, { lengths: own, training: false });
        countForward(layer);
      }
    }
    return output;
  }

  /**
   * When a layer of yours throws half-way, the layers after it have already added to their gradients: call zeroGrad.
   * @throws EvenkeelError ERR_STATE when a layer's last forward call was not that of this Sequential
   */
  backward(gradOutput: Tensor, options?: { inputGradient?: true }): Tensor;
  backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined;
  backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined {
    const given =
      options === undefined ? BACKWARD_DEFAULTS : readOptions('backward options', options, ['inputGradient'], BACKWARD_DEFAULTS);
    const wanted = checkBoolean('inputGradient', given.inputGradient);
    const pass = this.#pass;
    if (pass === undefined) failNoForward();
    // Seen before any layer has added to its gradients; layers check what they alone know.
    pass.input.checkAttached('input of the last forward call');
    this.#checkOwnPass(pass.calls);
    const [first, ...others] = this.#layers.map(([, layer]) => layer) as [Layer, ...Layer[]];
    let gradient = gradOutput;
    for (const layer of others.toReversed()) gradient = layer.backward(gradient);
    const gradInput = wanted ? first.backward(gradient) : first.backward(gradient, { inputGradient: false });
    this.#pass = undefined;
    return wanted ? gradInput : undefined;
  }

  /** The parameters of all layers, under prefixed names. */
  parameters(): Parameter[] {
    return [...this.#parameters];
  }

  /**
   * Each layer's shape, parameters, and what a training step costs. `String(summary)` is a table.
   * @throws EvenkeelError ERR_OPTION
   */
  summary(options: SummaryOptions): Summary {
    return summarize(this, options);
  }

  stateDict(): StateDict {
    const entries = this.#layers.flatMap(([name, layer]) =>
      Object.entries(layer.stateDict()).map(([key, tensor]): [string, Tensor] => [`${name}.${key}`, tensor]),
    );
    return Object.fromEntries(entries);
  }

  loadStateDict(state: StateDict): void {
    copyState(matchState('state', this.stateDict(), state));
  }

  /** Of all layers, under prefixed names. */
  carriedState(): StateDict {
    const entries = this.#layers.flatMap(([name, layer]) =>
      Object.entries(carriedStateOf(layer)).map(([key, tensor]): [string, Tensor] => [`${name}.${key}`, tensor]),
    );
    return Object.fromEntries(entries);
  }

  loadCarriedState(state: StateDict): void {
    const parts = splitByLayer(
      state,
      this.#layers.map(([name]) => name),
    );
    const before = this.#layers.map(([, layer]) => carriedStateOf(layer));
    for (const [index, [name, layer]] of this.#layers.entries()) {
      try {
        loadCarriedStateOf(layer, parts.get(name) as StateDict);
      } catch (error) {
        for (const [done, [, other]] of this.#layers.slice(0, index).entries()) loadCarriedStateOf(other, before[done] as StateDict);
        throw error;
      }
    }
  }

  #checkInput(input: Tensor, lengths: unknown): Int32Array | undefined {
    return checkLengths(lengths, checkTensor('input', input).shape, 'either');
  }

  #checkOwnPass(calls: readonly number[]): void {
    for (let index = 0; index < calls.length; index++) {
      const [name, layer] = this.#layers[index] as readonly [string, Layer];
      if (forwardCallsOf(layer) === calls[index]) continue;
      throw new EvenkeelError(
        'ERR_STATE',
        `backward: expected the last forward call of layers.${name} to be that of this Sequential, but another one came since: that of a model ` +
          'that shares the layer, or one of its own. Call backward first, and predict for what needs no backward call.',
      );
    }
  }

  #checkDifferent(): void {
    const seen = new Set<Layer>();
    for (const [name, layer] of this.#layers) {
      for (const leaf of Sequential.#leavesOf(layer)) {
        if (seen.has(leaf)) fail('ERR_OPTION', `layers.${name}`, 'each layer once', layer, 'A layer remembers one forward call at a time.');
        seen.add(leaf);
      }
    }
  }

  static #leavesOf(layer: Layer): Layer[] {
    return #layers in layer ? layer.#layers.flatMap(([, child]) => Sequential.#leavesOf(child)) : [layer];
  }
}

function checkChildren(layers: unknown): [name: string, layer: Layer][] {
  const children = readSafely('layers', () =>
    Array.isArray(layers) || isPlainObject(layers) ? Object.entries<unknown>(layers) : undefined,
  );
  if (children === undefined) fail('ERR_OPTION', 'layers', 'a record or an array of layers', layers);
  if (children.length === 0) fail('ERR_OPTION', 'layers', 'at least one layer', layers);
  if (!Array.isArray(layers)) for (const [name] of children) checkName(name);
  return children.map(([name, layer]) => [name, checkLayer(`layers.${name}`, layer)]);
}

/** The entries of a state by the layer that their names begin with. */
function splitByLayer(state: unknown, names: readonly string[]): Map<string, StateDict> {
  const entries = readSafely('carried state', () => (isPlainObject(state) ? Object.entries(state as StateDict) : undefined));
  if (entries === undefined) fail('ERR_OPTION', 'carried state', 'a record of tensors by name', state);
  const parts = new Map<string, StateDict>(names.map((name) => [name, Object.create(null)]));
  for (const [key, tensor] of entries) {
    const dot = key.indexOf('.');
    const part = parts.get(key.slice(0, dot));
    if (dot === -1 || part === undefined)
      fail('ERR_STATE', 'carried state', `names that begin with one of ${names.join(', ')} and a dot`, key);
    part[key.slice(dot + 1)] = tensor;
  }
  return parts;
}

function checkName(name: string): void {
  if (/^\d+$/.test(name)) {
    fail('ERR_OPTION', 'layers', 'names that are not numbers, which a record would reorder', name, 'Give an array instead.');
  }
  if (name === '' || name.includes('.')) fail('ERR_OPTION', 'layers', 'names that are neither empty nor hold a dot', name);
}
