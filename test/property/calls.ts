// Whatever is put in the place of whichever argument of whichever function: it is refused with an EvenkeelError, and afterwards the same
// objects still compute what they computed before.
import fc from 'fast-check';
import { Generator, LastStep, LayerNorm, Parameter, RNN, Sequential, Tensor } from '../../lib/index';
import { ERROR_CODES } from '../helpers/errors';
import { makeHostile, recipes } from './hostile';

/** Hostile values for each argument of each function. */
export const RUNS = Number(process.env.FUZZ_RUNS ?? 100);
export const float64 = { dtype: 'float64' } as const;
export const tensor = (shape: number[], seed = 1) => Tensor.randn(shape, { ...float64, generator: new Generator(seed) });
export const parameter = () => new Parameter('w', tensor([3]), tensor([3], 2));

export type Accepts = (value: unknown) => boolean;
export const never: Accepts = () => false;
export const optional =
  (accepts: Accepts): Accepts =>
  (value) =>
    value === undefined || accepts(value);
export const isNumber =
  (from: number, to = Number.MAX_VALUE): Accepts =>
  (value) =>
    typeof value === 'number' && value >= from && value <= to;
export const isInteger =
  (from: number, to: number): Accepts =>
  (value) =>
    Number.isInteger(value) && isNumber(from, to)(value);
export const isSize = isInteger(1, 2 ** 31 - 1);
export const isDType: Accepts = (value) => value === 'float32' || value === 'float64';
export const isBoolean: Accepts = (value) => typeof value === 'boolean';
export const hasNoKeys: Accepts = (value) => {
  try {
    const prototype = Object.getPrototypeOf(value);
    return typeof value === 'object' && Object.keys(value as object).length === 0 && (prototype === null || prototype === Object.prototype);
  } catch {
    return false;
  }
};

/** An array whose elements are all there to be read: shapes and nested numbers among them may be valid. */
export function isReadableArray(value: unknown): boolean {
  try {
    return Array.isArray(value) && value.length < 1e6 && value.every((element) => typeof element !== 'undefined');
  } catch {
    return false;
  }
}

/** One call of the API: its good arguments, and which other values would be as good in each of their places. */
export interface Call {
  /** makes what the call works on, anew */
  make(): unknown[];
  call(...args: unknown[]): unknown;
  /** by place: the index of an argument, or `index.option` */
  places: Record<string, Accepts>;
  /** a valid call on the same objects; its numbers must not change */
  probe?(args: unknown[]): unknown;
}

export const generator = () => new Generator(7);
export const makeRNN = () => new RNN({ inputSize: 4, hiddenSize: 5, generator: generator(), ...float64 });
export const makeSequential = () => new Sequential({ rnn: makeRNN(), ln: new LayerNorm({ size: 5, ...float64 }), last: new LastStep() });

/** The good arguments with another value in one place. */
export function replaced(args: unknown[], place: string, value: unknown): unknown[] {
  const dot = place.indexOf('.');
  const index = Number(dot === -1 ? place : place.slice(0, dot));
  return args.with(index, dot === -1 ? value : { ...(args[index] as object), [place.slice(dot + 1)]: value });
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    const { name, code } = error as { name: string; code: string };
    if (name !== 'EvenkeelError') throw error;
    return code;
  }
  return 'was accepted';
}

/** Every argument of every call, against hostile values. */
export function testCalls(calls: Record<string, Call>): void {
  const cases = Object.entries(calls).flatMap(([name, call]) =>
    Object.entries(call.places).map(([place, accepts]) => ({ name, place, call, accepts })),
  );

  test.each(cases)('$name, argument $place', ({ call, place, accepts }) => {
    const expected = call.probe?.(call.make());
    fc.assert(
      fc.property(recipes, (recipe) => {
        const value = makeHostile(recipe);
        fc.pre(!accepts(value));
        const args = call.make();
        expect(ERROR_CODES).toContain(codeOf(() => call.call(...replaced(args, place, value))));
        expect(call.probe?.(args)).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
  });

  const optionPlaces = cases.filter(({ place }) => place.includes('.') && !place.includes('.0.'));

  test.each(optionPlaces)('$name, a getter that throws in place of $place', ({ call, place }) => {
    const args = call.make();
    const [index, key] = [Number(place.slice(0, place.indexOf('.'))), place.slice(place.indexOf('.') + 1)];
    const options = Object.defineProperty({ ...(args[index] as object) }, key, {
      enumerable: true,
      get() {
        throw new Error('a getter threw');
      },
    });
    expect(codeOf(() => call.call(...args.with(index, options)))).toBe('ERR_OPTION');
  });

  test.each(Object.entries(calls))('%s with its own arguments works, without any it does not', (name, { make, call, places }) => {
    expect(codeOf(() => call(...make()))).toBe('was accepted');
    const required = Object.entries(places).find(([place, accepts]) => !place.includes('.') && !accepts(undefined))?.[0];
    expect(required).toBeDefined();
    const without = make().map((argument, index) => (index >= Number(required) ? undefined : argument));
    if (name !== 'LastStep.loadStateDict') expect(ERROR_CODES).toContain(codeOf(() => call(...without)));
  });
}
