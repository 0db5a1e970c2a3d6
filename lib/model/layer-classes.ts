import { fail, readSafely } from '../check';
import { withoutInitialValues } from '../initializers';
import { Activation } from '../layers/activation';
import { Dropout } from '../layers/dropout';
import { Embedding } from '../layers/embedding';
import { GRU } from '../layers/gru';
import { LastStep } from '../layers/last-step';
import type { Layer } from '../layers/layer';
import { LayerNorm } from '../layers/layer-norm';
import { Linear } from '../layers/linear';
import { LSTM } from '../layers/lstm';
import { RMSNorm } from '../layers/rms-norm';
import { RNN } from '../layers/rnn';
import { Sequential } from '../layers/sequential';
import { withinBytes } from '../memory';
import { withPlacedParameters } from '../parameter';
import type { Tensor } from '../tensor';

/** A class of layers whose constructor takes one record of options, that of {@link Layer.options}. */
// biome-ignore lint/suspicious/noExplicitAny: each layer has options of its own
export type LayerClass = new (options: any) => Layer;

/** A record of options as a file has it. */
export type LayerOptions = Readonly<Record<string, unknown>>;

/** How a layer of a name is made. */
type Make = (options: LayerOptions, memory: LayerMemory) => Layer;

/** What the package's own layers are made in. */
export interface LayerMemory {
  /** what their arrays may take */
  readonly limit: { bytes: number };
  /** where their parameters lie; undefined where each has an array of its own */
  readonly place?: (value: Tensor) => { readonly value: Tensor; readonly grad: Tensor };
}

const classes = new Map<string, Make>();
const names = new Map<unknown, string>();

/** One of the package's own: its parameters are left at zero, or at what lies where they are placed, and its sizes are held to the limit. */
function provide(layerClass: { name: string; prototype: Layer }, make: (options: LayerOptions) => Layer): void {
  names.set(layerClass, layerClass.name);
  classes.set(layerClass.name, (options, { limit, place }) =>
    withinBytes(limit, () =>
      withoutInitialValues(() => (place === undefined ? make(options) : withPlacedParameters(place, () => make(options)))),
    ),
  );
}

for (const own of [RNN, LSTM, GRU, Linear, LayerNorm, RMSNorm, Embedding, Dropout, Activation] as LayerClass[]) {
  provide(own, (options) => new own(options));
}
provide(LastStep, () => new LastStep());
// Its parameters are its layers', under other names.
names.set(Sequential, Sequential.name);
classes.set(Sequential.name, ({ layers }) => new Sequential(layers as Layer[]));

/** The longest name of a class. */
const LONGEST = 100;

/**
 * Lets {@link saveModel} and {@link loadModel} know layers of your own. The class has what it is made of in `options`, see {@link Layer.options},
 * and its constructor takes that. Call this in every program and worker thread that saves or loads such a model.
 * @param name by which files know the class: choose one that no other package takes, such as `'acme.Attention'`
 * @throws EvenkeelError ERR_OPTION for a name that another class has, and for a class that has another name
 */
export function registerLayer(name: string, layerClass: LayerClass): void {
  if (typeof name !== 'string' || name === '' || name.length > LONGEST) {
    fail('ERR_OPTION', 'name', `a non-empty string of at most ${LONGEST} characters`, name);
  }
  const isClass = readSafely('layerClass', () => typeof layerClass === 'function' && typeof layerClass.prototype?.forward === 'function');
  if (!isClass) fail('ERR_OPTION', 'layerClass', 'a class of layers, which have a method forward', layerClass);
  const known = names.get(layerClass);
  if (known === name) return;
  if (known !== undefined) fail('ERR_OPTION', 'name', `"${known}", the name by which this class is known`, name);
  if (classes.has(name)) fail('ERR_OPTION', 'name', 'a name that no other class has', name);
  names.set(layerClass, name);
  classes.set(name, (options) => new layerClass(options));
}

/** The name by which the class of a layer is known, if it is. */
export function nameOfLayer(layer: Layer): string | undefined {
  return names.get(readSafely('model', () => layer.constructor));
}

/** What makes layers of a name, if there is such a class. */
export function makerOf(name: string): Make | undefined {
  return classes.get(name);
}

export function knownLayers(): string[] {
  return [...classes.keys()];
}
