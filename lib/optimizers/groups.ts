import { readOptions, readSafely } from '../check';
import { checkParameters, Parameter } from '../parameter';

/** Parameters that an optimiser treats alike; options that are left out are those of the optimiser. */
export type ParameterGroup<Options> = { parameters: readonly Parameter[] } & Options;

/** A group as {@link Optimizer} takes it. */
export interface GroupOfParameters {
  parameters: readonly Parameter[];
  /** its own, for a group that does not follow the optimiser's */
  learningRate?: unknown;
  /** PyTorch's names of the tensors kept for each of its parameters */
  stateNames: readonly string[];
}

/** What reads an option of a group: its name in errors, and the largest number that all of the group's parameters can hold. */
export interface GroupContext {
  name(option: string): string;
  largest: number;
}

const LARGEST_FLOAT = (2 - 2 ** -23) * 2 ** 127;

/**
 * Reads what an optimiser is given: a list of parameters, or of groups of them with options of their own.
 * @param defaults of every option but `parameters`
 * @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range, or a parameter that stands there twice
 */
export function readGroups<K extends string, S>(
  where: string,
  parameters: unknown,
  options: unknown,
  defaults: Record<K | 'learningRate', unknown>,
  read: (given: Partial<Record<K, unknown>>, context: GroupContext) => S,
): { learningRate: unknown; groups: (S & { parameters: readonly Parameter[]; learningRate?: unknown })[] } {
  const names = Object.keys(defaults) as (K | 'learningRate')[];
  const shared = readOptions(where, options, names, defaults);
  if (!isListOfGroups(parameters)) {
    const list = checkParameters('parameters', parameters);
    const context = { name: (option: string) => option, largest: largestOf(list) };
    return { learningRate: shared.learningRate, groups: [{ ...read(shared, context), parameters: list }] };
  }
  const groups = readSafely('parameters', () => Array.from<unknown>(parameters as unknown[])).map((group, index) => {
    const at = `parameters[${index}]`;
    const known = ['parameters', ...names] as ('parameters' | K | 'learningRate')[];
    const defaultsOfGroup = { ...shared, learningRate: undefined } as Partial<Record<(typeof known)[number], unknown>>;
    const given = readOptions(at, group, known, defaultsOfGroup);
    const list = checkParameters(`${at}.parameters`, given.parameters);
    const context = { name: (option: string) => `${at}.${option}`, largest: largestOf(list) };
    return { ...read(given, context), parameters: list, learningRate: given.learningRate };
  });
  checkParameters(
    'parameters of all groups',
    groups.flatMap((group) => group.parameters),
  );
  return { learningRate: shared.learningRate, groups };
}

function isListOfGroups(value: unknown): boolean {
  return readSafely('parameters', () => {
    const first: unknown = Array.isArray(value) ? value[0] : undefined;
    return typeof first === 'object' && first !== null && !Parameter.isParameter(first) && Object.hasOwn(first, 'parameters');
  });
}

/** The largest number that is not infinite in one of the parameters' types: what an optimiser's numbers must stay below. */
export function largestOf(parameters: readonly Parameter[]): number {
  return parameters.some(({ value }) => value.dtype === 'float32') ? LARGEST_FLOAT : Number.MAX_VALUE;
}
