/** What exporters ask of a layer: its kind, its options, and whether others have such a one. */
import { fail } from '../check';
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

const CLASSES = { RNN, GRU, LSTM, Linear, Embedding, LayerNorm, RMSNorm, Dropout, Activation, LastStep };

/** The layers that other frameworks may have too. */
export type LayerKind = keyof typeof CLASSES;

type Options = Readonly<Record<string, unknown>>;

/**
 * A layer's kind and what its constructor took.
 * @throws EvenkeelError ERR_OPTION for a class of the caller's own, whose function nobody else knows
 */
export function kindOf(where: string, layer: Layer): { type: LayerKind; options: Options } {
  const found = Object.entries(CLASSES).find(([, Class]) => layer.constructor === Class)?.[0];
  if (found === undefined) fail('ERR_OPTION', where, `a layer of this package: ${Object.keys(CLASSES).join(', ')}, Sequential`, layer);
  return { type: found as LayerKind, options: layer.options ?? {} };
}

interface Plain {
  readonly placement?: string;
}

/**
 * Checks that a recurrent layer computes what those of another framework do.
 * @throws EvenkeelError ERR_OPTION that names what is only here
 */
export function checkPlainCell(where: string, type: LayerKind, options: Options, framework: string): void {
  const refuse = (option: string, expected: string): void => {
    fail('ERR_OPTION', `${where}.${option}`, `${expected}, since ${framework} has no ${type} with another`, options[option]);
  };
  for (const option of ['normalization', 'cellNormalization']) {
    const { placement = 'none' } = (options[option] ?? {}) as Plain;
    if (placement !== 'none') refuse(option, '"none"');
  }
  if (hasZoneout(options)) refuse('zoneout', '0');
  if (options.resetAfter === false) refuse('resetAfter', 'true');
}

/** Whether a state's mean between what it was and what it becomes is taken outside training. */
export function hasZoneout({ zoneout = 0 }: Options): boolean {
  return typeof zoneout === 'number' ? zoneout > 0 : Object.values(zoneout as Record<string, number>).some((p) => p > 0);
}
