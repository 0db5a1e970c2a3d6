import { formatShape } from '../../errors';
import { fileFault, quote } from '../../io/file';
import type { Tensor } from '../../tensor';
import type { ForeignTensors } from '../foreign-tensors';

/** A weight as Keras has it. */
export interface Slot {
  /** where a layer keeps its variables in a file of Keras 3, such as `forward_layer/cell` */
  readonly part: string;
  /** its place among them */
  readonly index: number;
  /** such as `kernel` */
  readonly name: string;
  /** a string stands for any size */
  readonly shape: readonly (number | string)[];
}

/** A layer, as far as finding its weights goes. */
export interface Owner {
  readonly name: string;
  readonly where: string;
}

/** The weights of a file, by the layer that they belong to. */
export interface WeightSource {
  /** @throws EvenkeelError ERR_FILE when there is none, or of another name or shape */
  take(owner: Owner, slot: Slot): Tensor;
}

/** Weights by path, as Keras 3 writes them: `layers/lstm_1/cell/vars/0`. */
export class PathWeights implements WeightSource {
  readonly #tensors: ForeignTensors;
  readonly #groups: ReadonlyMap<string, string>;

  /** @param groups the layers' names in the file by their own */
  constructor(tensors: ForeignTensors, groups: ReadonlyMap<string, string>) {
    this.#tensors = tensors;
    this.#groups = groups;
  }

  take({ name }: Owner, { part, index, shape }: Slot): Tensor {
    return this.#tensors.take(['layers', this.#groups.get(name), part, 'vars', index].filter((word) => word !== '').join('/'), shape);
  }
}

/** Weights in the order in which a layer has them, as Keras 2 and TF.js write them: `bi/forward_lstm/lstm_cell/kernel:0`. */
export class OrderedWeights implements WeightSource {
  readonly #tensors: ForeignTensors;
  readonly #left: ReadonlyMap<string, string[]>;

  /** @param names of the tensors, by layer, in order */
  constructor(tensors: ForeignTensors, names: ReadonlyMap<string, readonly string[]>) {
    this.#tensors = tensors;
    this.#left = new Map([...names].map(([layer, list]) => [layer, [...list]]));
  }

  take(owner: Owner, slot: Slot): Tensor {
    const name = this.#left.get(owner.name)?.shift();
    if (name === undefined) return fileFault(owner.where, `a weight ${quote(slot.name)} ${formatShape(slot.shape)}`, 'none');
    const direction = /^(forward|backward)_layer/.exec(slot.part)?.[1];
    const isRight =
      new RegExp(`(?:^|/)${slot.name}(?:_\\d+)?(?::0)?$`).test(name) && (direction === undefined || name.includes(`${direction}_`));
    if (!isRight)
      fileFault(owner.where, `a weight ${quote(`${direction === undefined ? '' : `${direction} `}${slot.name}`)}`, quote(name, 120));
    return this.#tensors.take(name, slot.shape);
  }
}
