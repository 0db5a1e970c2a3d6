/** Checks of values from a file or a queue, made of smaller ones. */
import { isPlainObject } from '../check';

/** Whether a value is as it should be. */
export type Check = (value: unknown) => boolean;

export const integer =
  (min: number, max = Number.MAX_SAFE_INTEGER): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
export const finite: Check = Number.isFinite;
export const atLeast0: Check = (value) => finite(value) && (value as number) >= 0;
export const above0: Check = (value) => finite(value) && (value as number) > 0;
export const text =
  (most: number): Check =>
  (value) =>
    typeof value === 'string' && value.length <= most;
export const word =
  (...words: readonly unknown[]): Check =>
  (value) =>
    words.includes(value);
export const hex =
  (digits: number): Check =>
  (value) =>
    typeof value === 'string' && value.length === digits && /^[0-9a-f]*$/.test(value);
export const listOf =
  (check: Check, least: number, most: number): Check =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most && value.every(check);
export const either =
  (...checks: readonly Check[]): Check =>
  (value) =>
    checks.some((check) => check(value));
export const orNull = (check: Check): Check => either(check, (value) => value === null);
export const optional = (check: Check): Check => either(check, (value) => value === undefined);
/** These members and no others. */
export const object =
  (members: Record<string, Check>): Check =>
  (value) =>
    isPlainObject(value) &&
    Object.keys(value).every((name) => Object.hasOwn(members, name)) &&
    Object.entries(members).every(([name, check]) => check(value[name]));

/** A member for each of T's, so that a new one is checked or does not compile. */
export type Members<T> = Record<keyof T, Check>;
/** At least these members: what a later version adds is passed over. */
export const objectWith =
  (members: Record<string, Check>): Check =>
  (value) =>
    isPlainObject(value) && Object.entries(members).every(([name, check]) => check(value[name]));
