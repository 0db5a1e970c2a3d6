import { fail, isPlainObject, readSafely } from '../../check';
import { EvenkeelError } from '../../errors';
import type { Generator } from '../../random';
import { generatorState, matchGeneratorState, type StateDict } from '../../state-dict';
import type { CallKind } from '../layer';
import type { MaskKey } from './scan';

/** The probabilities that a unit's h, and its c, stay what they were; 0 unless given. */
export interface Zoneout {
  hidden?: number;
  cell?: number;
}

interface MaskOptions {
  readonly numLayers: number;
  readonly dropout: number;
  readonly recurrentDropout: number;
  readonly zoneout: Required<Zoneout>;
  readonly generator: Generator;
}

/** What the masks of one call are made of; undefined where there are none. */
export interface MaskKeys {
  /** of recurrent dropout and zoneout */
  readonly scans: MaskKey;
  /** of dropout before each layer but the first */
  readonly between: readonly MaskKey[];
}

const NO_MASKS: MaskKeys = { scans: undefined, between: [] };

/**
 * Where a recurrent layer's masks come from. Each call in training draws a key from the generator; a mask is a function of its key, the layer and
 * direction, the sequence, the step and the unit alone (Philox4x32-10), and so is drawn again wherever it is needed.
 */
export class Masks {
  readonly dropout: number;
  /** what the addon knows of them */
  readonly native: { recurrentDropout: number; zoneoutHidden: number; zoneoutCell: number };
  readonly #generator: Generator;
  readonly #layers: number;
  readonly #areInScans: boolean;

  constructor({ numLayers, dropout, recurrentDropout, zoneout: { hidden, cell }, generator }: MaskOptions) {
    this.dropout = numLayers > 1 ? dropout : 0;
    this.native = { recurrentDropout, zoneoutHidden: hidden, zoneoutCell: cell };
    this.#generator = generator;
    this.#layers = numLayers;
    this.#areInScans = recurrentDropout > 0 || hidden > 0 || cell > 0;
  }

  get #any(): boolean {
    return this.#areInScans || this.dropout > 0;
  }

  /** Those of a call, which are only in training. */
  draw(call: CallKind): MaskKeys {
    if (call !== 'training' || !this.#any) return NO_MASKS;
    const key = (isWanted: boolean): MaskKey => (isWanted ? [this.#generator.nextUint32(), this.#generator.nextUint32()] : undefined);
    return {
      scans: key(this.#areInScans),
      between: Array.from({ length: this.#layers }, (_, layer) => key(layer > 0 && this.dropout > 0)),
    };
  }

  /** Where the generator is, as float64 [4] or [5]; nothing for a layer without masks. */
  carriedState(): StateDict {
    return this.#any ? { generator: generatorState(this.#generator) } : {};
  }

  /**
   * Takes from a carried state what {@link carriedState} put there.
   * @returns the rest, and what goes on from where the generator was
   * @throws EvenkeelError ERR_STATE, ERR_SHAPE, ERR_DTYPE or ERR_OPTION; nothing is changed then
   */
  takeCarried(state: unknown): { rest: unknown; load: () => void } {
    if (!this.#any) return { rest: state, load: () => {} };
    const entries = readSafely('carried state', () => (isPlainObject(state) ? Object.entries<unknown>(state) : undefined));
    if (entries === undefined) fail('ERR_OPTION', 'carried state', 'a record of tensors by name', state);
    const own = entries.find(([name]) => name === 'generator');
    if (own === undefined) {
      throw new EvenkeelError('ERR_STATE', 'carried state: expected "generator", where the masks come from, got none.');
    }
    return {
      rest: Object.fromEntries(entries.filter((entry) => entry !== own)),
      load: matchGeneratorState('carried state["generator"]', this.#generator, own[1]),
    };
  }
}
