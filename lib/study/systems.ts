/** The four systems under study, as data. */
import type { Layer } from '../layers/layer';
import { LayerNorm } from '../layers/layer-norm';
import { RNN } from '../layers/rnn';
import type { Generator } from '../random';
import type { LookName } from '../report/theme';

export type SystemName = 'none' | 'after' | 'before' | 'after-clipped';

export interface StudySystem {
  name: SystemName;
  title: string;
  /** which example of the examined text it is */
  example?: string;
  /** short name for charts */
  label: string;
  look: LookName;
  clip?: { maxNorm: number };
  /** The layers by name, in order. Draws from `generator` for the RNN alone: one seed gives every system the same initial weights. */
  layers(sizes: LayerSizes): Record<string, Layer>;
}

export interface LayerSizes {
  inputSize: number;
  hiddenSize: number;
  generator: Generator;
}

/** In the order in which charts draw them: after-clipped lies over after, which it may equal. */
export const systems: readonly StudySystem[] = [
  { name: 'none', title: 'No normalisation', label: 'none', look: 'slate', layers: (sizes) => ({ rnn: new RNN(sizes) }) },
  { name: 'after', title: 'LayerNorm after', example: 'Example 1', label: 'after (Example 1)', look: 'amber', layers: normAfter },
  {
    name: 'before',
    title: 'LayerNorm before',
    example: 'Example 2',
    label: 'before (Example 2)',
    look: 'blue',
    layers: (sizes) => ({ ln: new LayerNorm({ size: sizes.inputSize }), rnn: new RNN(sizes) }),
  },
  {
    name: 'after-clipped',
    title: 'LayerNorm after, clipped',
    example: 'Example 3',
    label: 'after, clipped (Example 3)',
    look: 'violet',
    clip: { maxNorm: 1 },
    layers: normAfter,
  },
];

function normAfter(sizes: LayerSizes): Record<string, Layer> {
  return { rnn: new RNN(sizes), ln: new LayerNorm({ size: sizes.hiddenSize }) };
}

export function systemNamed(name: SystemName): StudySystem {
  const system = systems.find((candidate) => candidate.name === name);
  if (system === undefined) throw new RangeError(`no system is called ${name}`);
  return system;
}
