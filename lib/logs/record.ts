import { fail, isPlainObject, readSafely } from '../check';

/** Deeper than any record of fit. */
const MOST_DEEP = 4;

/**
 * The numbers of a record of fit by name, those of records in it as `validation.mae`; true and false as 1 and 0.
 * @throws EvenkeelError ERR_OPTION for anything but a record with a `step`
 */
export function numbersOf(argument: string, record: unknown): { step: number; numbers: [name: string, value: number][] } {
  // By itself: a step that is true or false is none.
  const [step, numbers] = readSafely(argument, () => (isPlainObject(record) ? [record.step, flatten('', record, 0)] : []));
  if (numbers === undefined || typeof step !== 'number' || !Number.isSafeInteger(step) || step < 0) {
    fail('ERR_OPTION', argument, 'a record that fit gives to onStep or onEpoch', record);
  }
  return { step, numbers };
}

function flatten(prefix: string, record: Record<string, unknown>, depth: number): [string, number][] {
  return Object.entries(record).flatMap(([name, value]): [string, number][] => {
    if (typeof value === 'number') return [[prefix + name, value]];
    if (typeof value === 'boolean') return [[prefix + name, value ? 1 : 0]];
    return depth < MOST_DEEP && isPlainObject(value) ? flatten(`${prefix}${name}.`, value, depth + 1) : [];
  });
}
