import { EvenkeelError } from '../errors';
import type { Layer } from '../layers/layer';
import { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { Sequential } from '../layers/sequential';
import { checkAllocation } from '../memory';
import { allocate, type DType, Tensor, type TensorData } from '../tensor';
import { buildLayer } from './architecture';

/** A layer that is no Sequential, with its name in the state dict, `''` for a model that is one itself. */
export interface NamedLayer {
  readonly name: string;
  readonly layer: Layer;
}

/** Where a tensor begins: a cache line of its own. */
const LINE = 64;
const bytesOf = ({ size, dtype }: Tensor) => Math.ceil((size * ARRAYS[dtype].BYTES_PER_ELEMENT) / LINE) * LINE;
const ARRAYS = { float32: Float32Array, float64: Float64Array } as const;

/**
 * A model without gradients whose weights lie in shared memory, which any number of threads may have. They are written once, before any other thread
 * has them, and packed once in each. Layers of the user's own, which know nothing of this, have a copy of theirs.
 */
export class SharedModel {
  /** as {@link describeLayer} has it, in JSON */
  readonly architecture: string;
  readonly weights: SharedArrayBuffer;
  /** one after the other */
  readonly layers: readonly NamedLayer[];

  readonly #brand = true;

  private constructor(architecture: string, weights: SharedArrayBuffer, source?: Readonly<Record<string, Tensor>>) {
    this.architecture = architecture;
    this.weights = weights;
    const region = new Region(weights);
    // Where a parameter is placed, the array that it was to have is let go at once.
    const memory = {
      limit: { bytes: 2 * weights.byteLength + LINE },
      place: (value: Tensor) => ({ value: region.take(value), grad: zerosLike(value) }),
    };
    const model = buildLayer('model', JSON.parse(architecture), memory);
    const own = model.stateDict();
    const isPlaced = Object.values(own).every(({ data }) => data.buffer === weights);
    if (source !== undefined) model.loadStateDict(source);
    if (!isPlaced) exchange(model, own, region, source === undefined);
    this.layers = leavesOf('', model);
    for (const { layer } of this.layers)
      if (layer instanceof RecurrentLayer) for (const { scans } of layer.inside.levels) for (const scan of scans) scan.keepWeights();
  }

  /** Whether `value` is one in truth. */
  static is(value: unknown): value is SharedModel {
    return typeof value === 'object' && value !== null && #brand in value;
  }

  /** With a copy of the weights of a model of this architecture. */
  static of(architecture: string, state: Readonly<Record<string, Tensor>>): SharedModel {
    const bytes = Object.values(state).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    checkAllocation('The weights', bytes);
    return new SharedModel(architecture, new SharedArrayBuffer(bytes), state);
  }

  /** With weights that are there. */
  static over(architecture: string, weights: SharedArrayBuffer): SharedModel {
    return new SharedModel(architecture, weights);
  }
}

/** Shared memory that is dealt out from its beginning on. */
class Region {
  readonly #weights: SharedArrayBuffer;
  #used = 0;

  constructor(weights: SharedArrayBuffer) {
    this.#weights = weights;
  }

  /** A tensor like another, with what lies there. */
  take(like: Tensor): Tensor {
    const begin = this.#used;
    this.#used += bytesOf(like);
    if (this.#used > this.#weights.byteLength) {
      throw new EvenkeelError('ERR_SHAPE', `weights: expected more than the ${this.#weights.byteLength} bytes that there are.`);
    }
    const data: TensorData = new ARRAYS[like.dtype](this.#weights as unknown as ArrayBuffer, begin, like.size);
    return new Tensor(data, like.shape);
  }
}

/** Copies what the model has not placed itself from the rest of the region, or to it. */
function exchange(model: Layer, own: Readonly<Record<string, Tensor>>, region: Region, reads: boolean): void {
  const { buffer } = region.take(Tensor.zeros([0])).data;
  const state = Object.entries(own).map(([name, tensor]): [string, Tensor] => [
    name,
    tensor.data.buffer === buffer ? tensor : region.take(tensor),
  ]);
  if (reads) model.loadStateDict(Object.fromEntries(state));
  else for (const [name, tensor] of state) if (tensor !== own[name]) tensor.data.set((own[name] as Tensor).data);
}

/** What stands for the gradients of weights that are never trained: the same zeros for all, which nobody touches. */
const zeros: Partial<Record<DType, TensorData>> = {};

function zerosLike({ dtype, size, shape }: Tensor): Tensor {
  let all = zeros[dtype];
  if (all === undefined || all.length < size) {
    all = allocate(dtype, size);
    zeros[dtype] = all;
  }
  return new Tensor(all.subarray(0, size), shape);
}

function leavesOf(name: string, layer: Layer): NamedLayer[] {
  if (!(layer instanceof Sequential)) return [{ name, layer }];
  return Object.entries(layer.layers).flatMap(([own, child]) => leavesOf(name === '' ? own : `${name}.${own}`, child));
}
