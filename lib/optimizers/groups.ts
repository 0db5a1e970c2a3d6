import { fail, readOptions, readSafely } from '../check';
import { checkParameters, Parameter } from '../parameter';
import { sparseRowsOf } from '../sparse-rows';
import type { TensorData } from '../tensor';

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

/** What an optimiser works on: lists with one array for each parameter, in one order. */
export interface OptimizerArrays {
  readonly values: readonly TensorData[];
  readonly grads: readonly TensorData[];
  /** a list for each name of the optimiser's state */
  readonly state: readonly (readonly TensorData[])[];
}

/** What reads an option of a group: its name in errors, and the largest number that all of the group's parameters can hold. */
export interface GroupContext {
  name(option: string): string;
  largest: number;
  /** whether a parameter's gradient is sparse */
  isSparse: boolean;
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
    const context = contextOf(list, (option) => option);
    return { learningRate: shared.learningRate, groups: [{ ...read(shared, context), parameters: list }] };
  }
  const groups = readSafely('parameters', () => Array.from<unknown>(parameters as unknown[])).map((group, index) => {
    const at = `parameters[${index}]`;
    const known = ['parameters', ...names] as ('parameters' | K | 'learningRate')[];
    const defaultsOfGroup = { ...shared, learningRate: undefined } as Partial<Record<(typeof known)[number], unknown>>;
    const given = readOptions(at, group, known, defaultsOfGroup);
    const list = checkParameters(`${at}.parameters`, given.parameters);
    const context = contextOf(list, (option) => `${at}.${option}`);
    return { ...read(given, context), parameters: list, learningRate: given.learningRate };
  });
  checkParameters(
    'parameters of all groups',
    groups.flatMap((group) => group.parameters),
  );
  return { learningRate: shared.learningRate, groups };
}

function contextOf(parameters: readonly Parameter[], name: (option: string) => string): GroupContext {
  return { name, largest: largestOf(parameters), isSparse: parameters.some(({ grad }) => sparseRowsOf(grad) !== undefined) };
}

/**
 * Checks an option that sparse gradients do not go with: rows without a gradient would have to change too.
 * @throws EvenkeelError ERR_OPTION for any other value than `expected`
 */
export function checkSparseOption({ name, isSparse }: GroupContext, option: string, value: unknown, expected: unknown): void {
  if (isSparse && value !== expected) {
    fail(
      'ERR_OPTION',
      name(option),
      `${expected} for a sparse gradient`,
      value,
      'Give its parameter a group of its own, or its layer sparse: false.',
    );
  }
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
