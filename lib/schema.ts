import { checkBoolean, checkDType, checkNumber, checkOneOf, checkSize, type Range, readOptions } from './check';
import { checkGenerator } from './random';

/** One option of a layer: how it is checked, and what counts where it is left out. */
export interface Option<T> {
  /** @throws EvenkeelError for a value that is not one */
  readonly check: (argument: string, value: unknown) => T;
  readonly default?: unknown;
  /** all values that it can have, where these are words */
  readonly choices?: readonly string[];
  /** what to give a constructor for a checked value, where that is not the value itself; undefined where it is left out */
  readonly write?: (value: T) => unknown;
}

/** All options of a layer by name: what reads them, tests them and varies them in a sweep takes its list from here. */
// biome-ignore lint/suspicious/noExplicitAny: an option of any kind
export type Schema = Readonly<Record<string, Option<any>>>;

/** What a schema reads: a value for each of its options. */
export type ReadBy<S extends Schema> = { readonly [Name in keyof S]: S[Name] extends Option<infer T> ? T : never };

/**
 * Reads the options that a caller gave.
 * @throws EvenkeelError ERR_OPTION or ERR_DTYPE for one that is missing, unknown or out of range
 */
export function readBy<S extends Schema>(where: string, given: unknown, schema: S): ReadBy<S> {
  const names = Object.keys(schema);
  const values = readOptions(where, given, names);
  const read = names.map((name) => {
    const { check, default: otherwise } = schema[name] as Option<unknown>;
    const value = values[name];
    return [name, check(name, value === undefined ? otherwise : value)];
  });
  return Object.fromEntries(read);
}

/** What a constructor takes to make the same layer again, from what {@link readBy} read: all options but those that are left out. */
export function writeBy<S extends Schema>(schema: S, checked: ReadBy<S>): Readonly<Record<string, unknown>> {
  const entries = Object.entries<Option<unknown>>(schema).map(([name, { write }]): [string, unknown] => {
    const value: unknown = checked[name];
    return [name, Object.freeze(write === undefined ? value : write(value))];
  });
  return Object.freeze(Object.fromEntries(entries.filter(([, value]) => value !== undefined)));
}

export const sizeOption: Option<number> = { check: checkSize };
export const dtypeOption = { check: checkDType, default: 'float32', choices: ['float32', 'float64'] } as const;
/** A generator is not part of what a layer is: what it goes on from is carried state. */
export const generatorOption = { check: checkGenerator, write: () => undefined };

export function booleanOption(otherwise: boolean): Option<boolean> {
  return { check: checkBoolean, default: otherwise };
}

export function numberOption(otherwise: number, range: Range): Option<number> {
  return { check: (argument, value) => checkNumber(argument, value, range), default: otherwise };
}

/** An option that is one of some words. */
export interface ChoiceOption<T extends string> extends Option<T> {
  readonly default: T;
  readonly choices: readonly T[];
}

export function choiceOption<T extends string>(choices: readonly T[], otherwise: T): ChoiceOption<T> {
  return { check: (argument, value) => checkOneOf(argument, value, choices), default: otherwise, choices };
}

/** An option that may be left out, which then counts as `otherwise`. */
export function optionalOption<T>(check: (argument: string, value: unknown) => T, otherwise: T): Option<T> {
  return {
    check: (argument, value) => (value === undefined ? otherwise : check(argument, value)),
    write: (value) => (value === otherwise ? undefined : value),
  };
}
