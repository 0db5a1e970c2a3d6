import { dirname } from 'node:path';
import { EvenkeelError } from '../errors';
import { checkPath } from '../io/file';
import { readYaml } from '../io/yaml-file';
import { atOnce, type Slices } from '../slices';
import { type CheckedDefinition, definitionInSlices } from './definition';

/**
 * Reads and checks a definition from a JSON or YAML file (JSON is YAML). The CSV files that it names must lie in its folder or below.
 * @throws EvenkeelError ERR_FILE for a file that is no JSON or YAML, with its line; ERR_OPTION with the place in the definition
 */
export function readDefinition(path: string): CheckedDefinition {
  return atOnce(definitionFileInSlices(path));
}

/** What {@link readDefinition} does. */
export function* definitionFileInSlices(path: string): Slices<CheckedDefinition> {
  const words = { what: 'definition', example: '"lengths: [10, 100]"', second: 'Make it a file of its own, and a sweep.' };
  const definition = readYaml(checkPath('definition', path), words);
  try {
    return yield* definitionInSlices(definition, dirname(path));
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}
