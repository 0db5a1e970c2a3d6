import type { Parameter } from '../../parameter';
import type { LayerCost } from '../summary';
import { choices } from './checkpointing';
import { productFlop } from './cost';
import type { Level } from './level';

/**
 * What a training step of a recurrent layer costs, beside its pointwise work.
 * @param shape [N, T, I]
 */
export function recurrentCost(
  levels: readonly Level[],
  parameters: readonly Parameter[],
  shape: readonly number[],
  returnSequences: boolean,
): LayerCost {
  const [n, steps] = shape as [number, number, number];
  const width = (levels.at(-1) as Level).outputSize;
  const weights = parameters.filter(({ name }) => name.startsWith('weight_'));
  // What goes into the first layer alone is the input; the others' is what a layer before them puts out.
  const isOfInput = (name: string) => /^weight_ih_l0(_reverse)?$/.test(name);
  const flop = productFlop(weights.map(({ name, value }) => ({ elements: value.size, ofInput: isOfInput(name) })));
  const wantsSequence = (index: number) => returnSequences || index + 1 < levels.length;
  const kept = levels.map((level, index) => choices(level.keptMemory(n, steps, wantsSequence(index))));
  const between =
    n * steps * levels.reduce((sum, level, index) => sum + columnsBetween(level, wantsSequence(index), index + 1 < levels.length), 0);
  const total = (of: 'none' | 'auto' | 'least') => kept.reduce((sum, one) => sum + one[of].bytes, 0);
  const bytesEach = (parameters[0] as Parameter).value.dtype === 'float64' ? 8 : 4;
  const rows = n * steps;
  return {
    outputShape: returnSequences ? [n, steps, width] : [n, width],
    flop: { forward: rows * flop.forward, backward: rows * flop.backward, inputGradient: rows * flop.inputGradient },
    keptBytes: between * bytesEach + total('none'),
    segments: {
      steps,
      auto: Math.max(...kept.map(({ auto }) => auto.steps)),
      least: Math.max(...kept.map(({ least }) => least.steps)),
      leastBytes: between * bytesEach + total('least'),
      isAuto: (levels[0] as Level).checkpointing === 'auto',
    },
  };
}

/** What a level keeps of each step beside its tape: what it hands to the next one, and of two directions the input in reverse and each output by itself. */
function columnsBetween({ scans: [first, second], outputSize }: Level, wantsSequence: boolean, isHanded: boolean): number {
  const ofReverse = second === undefined ? 0 : second.inputSize + (wantsSequence ? outputSize : 0);
  return ofReverse + (isHanded && first !== undefined ? outputSize : 0);
}
