import { EvenkeelError } from '../errors';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { type StateDict, scalar } from '../state-dict';
import type { DType } from '../tensor';
import type { Part } from './part';

/**
 * Something that goes wrong in a training which neither its loss nor its gradients need show.
 */
export interface TrainingWarning {
  code: 'EVENKEEL_GROWING_STATES';
  /** after which it was seen */
  step: number;
  /** the layer's name in the model; one that is the model itself is called `rnn` */
  layer: string;
  /** the largest magnitude of the layer's states at the ends of the sequences: h_T, of an LSTM h_T and c_T */
  largestState: number;
  /** says all of this, and what to do */
  message: string;
}

/** How many times what it was in the first step a state's magnitude may become, or how many times 1 if that is more. */
const GROWTH = 1e6;

/** The root of the largest number: beyond it squares overflow, and with them a norm that is not careful. */
const RANGE: Readonly<Record<DType, number>> = { float32: 2 ** 64, float64: 2 ** 512 };

/**
 * Looks at the states at the ends of the sequences after each step of a training. A relu layer's may grow from step to step of the optimiser until
 * they overflow, and nothing else shows it where a LayerNorm takes their size away. Each layer is reported once.
 */
export class StateWatch implements Part {
  readonly #layers: ReadonlyMap<string, RecurrentLayer<unknown>>;
  /** of the layers that have not been reported, their magnitude in the first step seen */
  readonly #first = new Map<string, number>();
  readonly #reported = new Set<string>();

  constructor(layers: ReadonlyMap<string, RecurrentLayer<unknown>>) {
    this.#layers = layers;
  }

  /** After a step: the largest magnitude of all layers' states, NaN without a recurrent layer, and what is to be reported. */
  look(step: number): { largestState: number; warnings: TrainingWarning[] } {
    const warnings: TrainingWarning[] = [];
    let largest = Number.NaN;
    for (const [name, layer] of this.#layers) {
      const magnitude = layer.largestState;
      largest = Number.isNaN(largest) ? magnitude : Math.max(largest, magnitude);
      const warning = this.#judge(name, layer.dtype, magnitude, step);
      if (warning !== undefined) warnings.push(warning);
    }
    return { largestState: largest, warnings };
  }

  state(): StateDict {
    const first = [...this.#first].map(([layer, magnitude]) => [`first.${layer}`, scalar(magnitude)] as const);
    return Object.fromEntries([...first, ...[...this.#reported].map((layer) => [`reported.${layer}`, scalar(1)] as const)]);
  }

  load(state: StateDict): void {
    const entries = Object.entries(state).map(([key, tensor]) => {
      const [, kind, layer] = /^(first|reported)\.(.*)$/.exec(key) ?? [];
      if (layer === undefined || !this.#layers.has(layer) || tensor.size !== 1) {
        throw new EvenkeelError('ERR_STATE', `states: expected what was seen of the model's recurrent layers, got "${key.slice(0, 100)}".`);
      }
      return { kind, layer, value: tensor.data[0] as number };
    });
    this.#first.clear();
    this.#reported.clear();
    for (const { kind, layer, value } of entries) {
      if (kind === 'first') this.#first.set(layer, value);
      else this.#reported.add(layer);
    }
  }

  #judge(layer: string, dtype: DType, magnitude: number, step: number): TrainingWarning | undefined {
    const first = this.#first.get(layer) ?? magnitude;
    this.#first.set(layer, first);
    const hasGrown = magnitude > GROWTH * Math.max(1, first);
    if (this.#reported.has(layer) || !(hasGrown || magnitude > RANGE[dtype])) return undefined;
    this.#reported.add(layer);
    const [now, before] = [magnitude, first].map((value) => value.toPrecision(3));
    const message =
      `step ${step}: the states of the layer "${layer}" ${hasGrown ? 'grow' : 'are large'}: the largest of the last time step is ${now}, after the first ` +
      `training step it was ${before}. They overflow if they go on, and a LayerNorm after the layer hides it from loss and gradients. Lower the learning ` +
      "rate, take tanh, a GRU or an LSTM in place of relu, or a normalisation inside the layer, such as normalization: 'split-preactivation'.";
    return { code: 'EVENKEEL_GROWING_STATES', step, layer, largestState: magnitude, message };
  }
}

/** Where there is no `onWarning`. */
export function emitWarning({ code, message }: TrainingWarning): void {
  process.emitWarning(message, { type: 'EvenkeelWarning', code });
}
