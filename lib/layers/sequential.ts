import { fail, isPlainObject, readSafely } from '../check';
import { Parameter } from '../parameter';
import { copyState, matchState, type StateDict } from '../state-dict';
import { checkTensor, type Tensor } from '../tensor';
import { carriedStateOf, loadCarriedStateOf } from './carried-state';
import { type BackwardOptions, checkLayer, failNoForward, type Layer, wantsInputGradient } from './layer';

/**
 * Layers one after another. Names of parameters and of the state dict are prefixed with the layer's: `rnn.weight_ih_l0`.
 * The layers belong to it: between its forward and backward call none may be called on its own.
 */
export class Sequential implements Layer {
  readonly #layers: readonly (readonly [name: string, layer: Layer])[];
  readonly #parameters: readonly Parameter[];
  /** the input of the last forward call, until backward is done */
  #input: Tensor | undefined;

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

  /** Each layer's output is the next one's input. */
  forward(input: Tensor): Tensor {
    checkTensor('input', input);
    this.#input = undefined;
    let output = input;
    for (const [, layer] of this.#layers) output = layer.forward(output);
    this.#input = input;
    return output;
  }

  /** When a layer of yours throws half-way, the layers after it have already added to their gradients: call zeroGrad. */
  backward(gradOutput: Tensor, options?: { inputGradient?: true }): Tensor;
  backward(gradOutput: Tensor, options?: BackwardOptions): Tensor | undefined;
  backward(gradOutput: Tensor, options: BackwardOptions = {}): Tensor | undefined {
    const wanted = wantsInputGradient(options);
    if (this.#input === undefined) failNoForward();
    // Seen before any layer has added to its gradients; layers check what they alone know.
    this.#input.checkAttached('input of the last forward call');
    const [first, ...others] = this.#layers.map(([, layer]) => layer) as [Layer, ...Layer[]];
    let gradient = gradOutput;
    for (const layer of others.toReversed()) gradient = layer.backward(gradient);
    const gradInput = wanted ? first.backward(gradient) : first.backward(gradient, { inputGradient: false });
    this.#input = undefined;
    return wanted ? gradInput : undefined;
  }

  /** The parameters of all layers, under prefixed names. */
  parameters(): Parameter[] {
    return [...this.#parameters];
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
