import { checkNumber, readOptions } from '../../check';
import { checkLayer } from '../../layers/layer';
import { type Dialect, describeModel, type KerasLayer, withMask } from './describe';

/** Options of {@link toTfjs} and {@link toKeras}. */
export interface ExportOptions {
  /**
   * What stands behind the end of a shorter sequence in the exported model's input, as a Masking layer or an Embedding with mask_zero tell
   * lengths: a number that no whole row of data has, or the symbol 0. Without it all steps count there.
   */
  maskValue?: number;
}

/** Reads what both exports are given. */
export function describeForExport(model: unknown, options: unknown, dialect: Dialect): KerasLayer[] {
  const layer = checkLayer('model', model);
  const { maskValue } = readOptions('export options', options, ['maskValue']);
  const layers = describeModel(layer, dialect);
  return maskValue === undefined ? layers : withMask(layers, checkNumber('maskValue', maskValue));
}

/** [N, T, F], or [N, T] of symbols. */
export function inputShape(layers: readonly KerasLayer[]): (number | null)[] {
  const first = layers.find(({ slots }) => slots.length > 0);
  if (first?.className === 'Embedding') return [null, null];
  return [null, null, ...(first === undefined ? [null] : [first.inputSize as number])];
}
