/** The systems that are trained, as data. */
import type { Layer } from '../layers/layer';
import type { Generator } from '../random';
import { type LookName, placementLooks } from '../report/theme';
import { type DepthPlacement, placedLayers, type StudyCell } from './placements';

/** `'after'` and `'before'` are the text's names for the placements `'output'` and `'input'`. */
export type SystemName = Exclude<DepthPlacement, 'input' | 'output'> | 'after' | 'before' | 'after-clipped';

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
  cell: StudyCell;
  inputSize: number;
  hiddenSize: number;
  generator: Generator;
}

/** In the order in which charts draw them: after-clipped lies over after, which it may equal. */
export const systems: readonly StudySystem[] = [
  { name: 'none', title: 'No normalisation', label: 'none', ...placed('none') },
  { name: 'after', title: 'LayerNorm after', example: 'Example 1', label: 'after (Example 1)', ...placed('output') },
  { name: 'before', title: 'LayerNorm before', example: 'Example 2', label: 'before (Example 2)', ...placed('input') },
  {
    name: 'after-clipped',
    title: 'LayerNorm after, clipped',
    example: 'Example 3',
    label: 'after, clipped (Example 3)',
    clip: { maxNorm: 1 },
    ...placed('output'),
    look: 'violet',
  },
  { name: 'preactivation', title: 'LayerNorm before the activation', label: 'preactivation', ...placed('preactivation') },
  {
    name: 'split-preactivation',
    title: 'LayerNorm on both parts before the activation',
    label: 'split-preactivation',
    ...placed('split-preactivation'),
  },
  { name: 'recurrent-input', title: 'LayerNorm on what is fed back', label: 'recurrent-input', ...placed('recurrent-input') },
  { name: 'hidden', title: 'LayerNorm on the state', label: 'hidden', ...placed('hidden') },
];

function placed(placement: DepthPlacement): Pick<StudySystem, 'look' | 'layers'> {
  return { look: placementLooks[placement], layers: (sizes) => placedLayers(placement, sizes) };
}

export function systemNamed(name: SystemName): StudySystem {
  const system = systems.find((candidate) => candidate.name === name);
  if (system === undefined) throw new RangeError(`no system is called ${name}`);
  return system;
}
