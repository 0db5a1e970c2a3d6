/** Options of the commands about forecasts. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { cellNames, missingWays } from '../forecast/options';
import { placementNames } from '../layers/recurrent/normalization';
import { nonEmpty } from './options';

/** How a file is read; `predict` and `evaluate` take those of the training where they are not given. */
export function addReadingOptions(command: Command): Command {
  return command
    .addOption(new Option('--decimal <mark>', 'the character before a fraction').choices(['.', ',']))
    .option('--delimiter <character>', 'the character between cells (default: comma, semicolon or tab, whichever the header has)', nonEmpty)
    .addOption(
      new Option(
        '--missing <way>',
        'what becomes of missing cells (default: an error that says line and column); the mean is that of the training part',
      ).choices(missingWays),
    );
}

export const cellOption = new Option('--cell <name>', 'the recurrent layer (default: lstm)').choices(cellNames);
export const normalizationOption = new Option('--normalization <place>', 'a LayerNorm within the recurrence (default: none)').choices(
  placementNames,
);

/** A parser for numbers. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Expected a number.');
  return value;
}
