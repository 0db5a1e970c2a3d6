import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkRowCount,
  checkSize,
  checkString,
  fail,
  nearestName,
  readOptions,
  readSafely,
} from '../../lib/check';
import { describe as describeValue, formatShape } from '../../lib/errors';
import { EvenkeelError } from '../../lib/index';
import { detach, evenkeelError, expectRefused } from '../helpers/errors';

const throwing = new Proxy(
  {},
  new Proxy(
    {},
    {
      get: () => () => {
        throw new Error('trap');
      },
    },
  ),
);

test('an error names the argument, what was expected, what came, and a hint', () => {
  expectRefused(() => fail('ERR_SHAPE', 'x', 'a list', 3, 'Give one.'), 'ERR_SHAPE', 'x: expected a list, got 3. Give one.');
  const error = new EvenkeelError('ERR_FILE', 'text', { cause: 'why' });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: 'EvenkeelError', code: 'ERR_FILE', message: 'text', cause: 'why' });
});

describe('numbers', () => {
  test('checkInteger', () => {
    expect(checkInteger('n', 3, 1, 3)).toBe(3);
    for (const bad of [0, 4, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2', 2n, null]) {
      expectRefused(() => checkInteger('n', bad, 1, 3), 'ERR_OPTION', 'n: expected an integer from 1 to 3');
    }
    expectRefused(() => checkInteger('n', 0, 1), 'ERR_OPTION', 'n: expected an integer of at least 1, got 0');
    expect(checkSize('n', 2 ** 31 - 1)).toBe(2 ** 31 - 1);
    expectRefused(() => checkSize('n', 2 ** 31), 'ERR_OPTION', 'from 1 to 2147483647');
    expect(checkRowCount('x', 2 ** 31 - 1)).toBe(2 ** 31 - 1);
    expectRefused(() => checkRowCount('x', 2 ** 31), 'ERR_SHAPE', 'x: expected at most 2147483647 rows in all');
  });

  test('checkNumber, with bounds that count and bounds that do not', () => {
    expect(checkNumber('a', 0, { min: 0, below: 1 })).toBe(0);
    expectRefused(
      () => checkNumber('a', 1, { min: 0, below: 1 }),
      'ERR_OPTION',
      'a: expected a finite number at least 0 and below 1, got 1',
    );
    expectRefused(() => checkNumber('a', 0, { above: 0, max: 2 }), 'ERR_OPTION', 'above 0 and at most 2');
    expect(checkNumber('a', 2, { above: 0, max: 2 })).toBe(2);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, '1', null])
      expectRefused(() => checkNumber('a', bad), 'ERR_OPTION', 'a finite number, got');
  });
});

test('checkBoolean, checkFunction, checkString, checkOneOf', () => {
  expect(checkBoolean('b', false)).toBe(false);
  expectRefused(() => checkBoolean('b', 0), 'ERR_OPTION', 'b: expected true or false, got 0');
  expectRefused(() => checkFunction('f', {}), 'ERR_OPTION', 'f: expected a function, got an object');
  expectRefused(() => checkString('s', ''), 'ERR_OPTION', 's: expected a non-empty string, got ""');
  expect(checkOneOf('w', 'tanh', ['tanh', 'relu'])).toBe('tanh');
  expectRefused(() => checkOneOf('w', 'tahn', ['tanh', 'relu']), 'ERR_OPTION', 'one of "tanh", "relu", got "tahn". Did you mean "tanh"?');
  expectRefused(() => checkOneOf('w', 'sigmoid', ['tanh', 'relu']), 'ERR_OPTION', 'got "sigmoid".');
});

describe('options', () => {
  test.each<[string, unknown]>([
    ['null', null],
    ['an array', []],
    ['a typed array', new Float32Array(1)],
    ['an instance of a class', new Date()],
    ['a Map', new Map()],
    ['a function', () => 1],
    ['a string', 'eps'],
  ])('%s is no options object', (_, value) => {
    expectRefused(() => checkOptions('f options', value, ['eps']), 'ERR_OPTION', 'f options: expected an options object with eps');
  });

  test('a record without a prototype is one', () => {
    expect(readOptions('f', Object.assign(Object.create(null), { eps: 1 }), ['eps'])).toEqual({ eps: 1 });
  });

  test('an unknown option names the nearest known one', () => {
    expectRefused(
      () => checkOptions('f options', { hidenSize: 1 }, ['inputSize', 'hiddenSize']),
      'ERR_OPTION',
      'Did you mean "hiddenSize"?',
    );
    expectRefused(() => checkOptions('f options', { xyz: 1 }, ['eps']), 'ERR_OPTION', 'unknown option "xyz". Known options: eps.');
  });

  test.each([
    ['lr', ['learningRate', 'momentum'], 'learningRate'],
    ['units', ['inputSize', 'hiddenSize'], 'hiddenSize'],
    ['units', ['inputSize', 'outputSize'], 'outputSize'],
    ['hidden', ['inputSize', 'hiddenSize'], 'hiddenSize'],
    ['hiddenSize', ['window', 'hidden'], 'hidden'],
    ['n_layers', ['inputSize', 'numLayers'], 'numLayers'],
    ['validation_data', ['batches', 'validation'], 'validation'],
    ['epsilon', ['eps'], 'eps'],
  ])('the name "%s" of another framework is known by what it is among %p', (name, known, own) => {
    expectRefused(() => checkOptions('f options', { [name]: 1 }, known), 'ERR_OPTION', `unknown option "${name}". Did you mean "${own}"?`);
  });

  test.each(['lr', '__proto__', 'constructor', ' ', ''])('without what it would be, "%s" has no hint', (name) => {
    const given = JSON.parse(`{${JSON.stringify(name)}: 1}`);
    expectRefused(() => checkOptions('f options', given, ['signal', 'window']), 'ERR_OPTION', 'Known options: signal, window.');
    expect(() => checkOptions('f options', given, ['signal', 'window'])).not.toThrow('Did you mean');
  });

  test('undefined stands for the default, null does not', () => {
    expect(readOptions('f', { a: undefined, b: null }, ['a', 'b', 'c'], { a: 1, b: 2, c: 3 })).toEqual({ a: 1, b: null, c: 3 });
  });

  test('each option is read once', () => {
    let reads = 0;
    const options = {
      get eps() {
        return ++reads;
      },
    };
    expect(readOptions('f', options, ['eps'])).toEqual({ eps: 1 });
    expect(reads).toBe(1);
  });

  test('what reading throws becomes the cause', () => {
    const cause = new Error('mine');
    const options = {
      get eps() {
        throw cause;
      },
    };
    expect(() => readOptions('f', options, ['eps'])).toThrow(expect.objectContaining({ code: 'ERR_OPTION', cause }));
    expectRefused(() => checkOptions('f', throwing, []), 'ERR_OPTION', 'reading it threw');
    const own = new EvenkeelError('ERR_SHAPE', 'own');
    expect(() =>
      readSafely('x', () => {
        throw own;
      }),
    ).toThrow(own);
  });
});

test('nearestName leaves alone what is not near', () => {
  expect(nearestName('Hidden_Size', ['hiddenSize', 'inputSize'])).toBe('hiddenSize');
  expect(nearestName('banana', ['hiddenSize', 'inputSize'])).toBeUndefined();
  expect(nearestName('x'.repeat(1e6), ['x'])).toBeUndefined();
});

test.each<[unknown, string]>([
  [null, 'null'],
  [undefined, 'undefined'],
  ['short', '"short"'],
  ['x'.repeat(100), `"${'x'.repeat(57)}..."`],
  [12n, '12n'],
  [Symbol('s'), 'a symbol'],
  [() => 1, 'a function'],
  [[1, 2], 'an array of length 2'],
  [new Float32Array(3), 'a Float32Array of length 3'],
  [new DataView(new ArrayBuffer(1)), 'a DataView'],
  [{}, 'an object'],
  [Object.create(null), 'an object'],
  [new Map(), 'an instance of Map'],
])('describes a value as %p', (value, text) => {
  expect(describeValue(value)).toBe(text);
});

test('describes even what throws when it is looked at', () => {
  expect(describeValue(throwing)).toBe('an object that cannot be inspected');
});

test('formatShape', () => {
  expect(formatShape(['N', 2])).toBe('[N, 2]');
});

test('the helpers of these tests work', () => {
  const array = new Float32Array(2);
  detach(array);
  expect(array.length).toBe(0);
  expect(() => expectRefused(() => fail('ERR_SHAPE', 'x', 'y', 1), 'ERR_STATE')).toThrow();
  expect(() => expectRefused(() => 1, 'ERR_STATE')).toThrow();
  expect(new EvenkeelError('ERR_FILE', 'abc')).toEqual(evenkeelError('ERR_FILE', 'b'));
});
