import { totalmem } from 'node:os';
import { type DType, Generator, Tensor } from '../../lib/index';
import { availableMemory } from '../../lib/memory';
import { checkTensor, elementCount } from '../../lib/tensor';
import { detach, expectRefused } from '../helpers/errors';

describe('memory', () => {
  test.each([[[2 ** 32, 0]], [[1e8, 0]], [[2 ** 20, 2 ** 20, 0]]])('toArray of shape %j is refused before the heap is full', (shape) => {
    expectRefused(() => Tensor.zeros(shape).toArray(), 'ERR_MEMORY', 'toArray');
  });

  test('toArray of shapes without elements that need few arrays', () => {
    expect(Tensor.zeros([0, 2 ** 40]).toArray()).toEqual([]);
    expect(Tensor.zeros([2, 0, 5]).toArray()).toEqual([[], []]);
  });

  test('a tensor that memory cannot hold is refused before anything is allocated', () => {
    const tooMany = Math.ceil(1.5 * totalmem()) / 4;
    expectRefused(() => Tensor.zeros([Math.ceil(tooMany)]), 'ERR_MEMORY', 'bytes) are available');
    expectRefused(() => Tensor.zeros([2 ** 52]), 'ERR_MEMORY', 'elements');
  });

  test('memory that was given out and never written counts as taken', () => {
    const bytes = 0.3 * availableMemory();
    const kept: Tensor[] = [];
    expectRefused(() => {
      for (let i = 0; i < 6; i++) kept.push(Tensor.zeros([Math.ceil(bytes / 4)]));
    }, 'ERR_MEMORY');
    expect(kept.length).toBeGreaterThan(0);
  });

  test('an array of a subclass is read as what it holds', () => {
    class Liar extends Float32Array {
      override slice(): Float32Array<ArrayBuffer> {
        return new Float32Array(99);
      }
    }
    const data = Object.assign(new Liar(3), [1, 2, 3]);
    const tensor = new Tensor(data, [3]);
    expect([...tensor.data.slice()]).toEqual([1, 2, 3]);
    tensor.data[0] = 9;
    expect(data[0]).toBe(9);
  });
});

describe('constructor', () => {
  test('wraps the array without copying', () => {
    const data = Float64Array.of(1, 2, 3, 4, 5, 6);
    const tensor = new Tensor(data, [2, 3]);
    data[4] = 50;
    expect(tensor.toArray()).toEqual([
      [1, 2, 3],
      [4, 50, 6],
    ]);
    expect(tensor).toMatchObject({ dtype: 'float64', shape: [2, 3], size: 6 });
  });

  test('keeps its own copy of the shape, which nobody can change', () => {
    const shape = [2, 3];
    const tensor = new Tensor(new Float32Array(6), shape);
    shape[0] = 99;
    expect(tensor.shape).toEqual([2, 3]);
    expect(() => (tensor.shape as number[]).push(1)).toThrow(TypeError);
    expect(() => Object.assign(tensor, { shape: [6] })).toThrow(TypeError);
  });

  test('takes a scalar, an empty dimension and shared memory', () => {
    expect(new Tensor(Float32Array.of(7), []).toArray()).toBe(7);
    expect(new Tensor(new Float32Array(0), [3, 0]).toArray()).toEqual([[], [], []]);
    expect(new Tensor(new Float32Array(new SharedArrayBuffer(8)), [2]).toArray()).toEqual([0, 0]);
  });

  test.each<[string, unknown]>([
    ['an array', [1, 2]],
    ['an Int32Array', new Int32Array(2)],
    ['a Buffer', Buffer.alloc(8)],
    ['a proxy of a Float32Array', new Proxy(new Float32Array(2), {})],
    ['something that calls itself one', { [Symbol.toStringTag]: 'Float32Array', length: 2 }],
  ])('refuses %s as data', (_, data) => {
    expectRefused(() => new Tensor(data as Float32Array, [2]), 'ERR_DTYPE', 'data: expected a Float32Array or Float64Array');
  });

  test('is not taken in by a subclass that lies about its length or kind', () => {
    class Lying extends Float32Array {
      override get length() {
        return 100;
      }
      override get [Symbol.toStringTag](): 'Float32Array' {
        return 'Float64Array' as 'Float32Array';
      }
    }
    expectRefused(() => new Tensor(new Lying(2), [100]), 'ERR_SHAPE', 'needs 100 elements, but data has 2');
    expect(new Tensor(new Lying(2), [2]).dtype).toBe('float32');
  });

  test.each<[unknown, string]>([
    [[3], 'needs 3 elements, but data has 2'],
    [[-1, -2], 'shape[0]: expected a whole number of at least 0, got -1'],
    [[2.5], 'shape[0]'],
    [[Number.NaN], 'shape[0]'],
    [['2'], 'shape[0]: expected a whole number of at least 0, got "2"'],
    ['2', 'shape: expected an array of at most 32 sizes, got "2"'],
    [{ length: 1, 0: 2 }, 'shape: expected an array'],
    [new Array(33).fill(1), 'at most 32 sizes'],
    [[2 ** 30, 2 ** 30], 'at most 2^53 - 1 elements'],
  ])('refuses the shape %j', (shape, text) => {
    expectRefused(() => new Tensor(new Float32Array(2), shape as number[]), 'ERR_SHAPE', text);
  });
});

describe('from', () => {
  test('copies nested arrays of any depth', () => {
    expect(Tensor.from([[[1], [2]]]).shape).toEqual([1, 2, 1]);
    expect(Tensor.from(3).shape).toEqual([]);
    expect(Tensor.from([[], []]).shape).toEqual([2, 0]);
    expect(Tensor.from([1 / 3], { dtype: 'float64' }).data[0]).toBe(1 / 3);
    expect(Tensor.from([1 / 3]).data[0]).toBe(Math.fround(1 / 3));
  });

  test.each<[unknown, 'ERR_SHAPE' | 'ERR_OPTION', string]>([
    [[[1, 2], [3]], 'ERR_SHAPE', 'numbers, dimension 1: expected arrays of length 2 throughout, got an array of length 1'],
    [[[1], 2], 'ERR_SHAPE', 'dimension 1'],
    [[1, [2]], 'ERR_OPTION', 'numbers, element 1: expected a number, got an array of length 1'],
    [['1'], 'ERR_OPTION', 'element 0: expected a number, got "1"'],
    [null, 'ERR_OPTION', 'got null'],
  ])('refuses %j', (numbers, code, text) => {
    expectRefused(() => Tensor.from(numbers as number[]), code, text);
  });

  test('refuses an array that holds itself', () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expectRefused(() => Tensor.from(loop as number[]), 'ERR_SHAPE', 'at most 32 dimensions');
  });
});

describe('zeros and randn', () => {
  test.each<DType>(['float32', 'float64'])('%s', (dtype) => {
    const zeros = Tensor.zeros([2, 2], { dtype });
    expect(zeros.dtype).toBe(dtype);
    expect(zeros.toArray()).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(Tensor.randn([3], { dtype, generator: new Generator(1) }).dtype).toBe(dtype);
  });

  test('randn without a generator gives other numbers at each call', () => {
    expect(Tensor.randn([4]).toArray()).not.toEqual(Tensor.randn([4]).toArray());
  });

  test('float32 normal numbers are the rounded float64 ones', () => {
    const [single, double] = (['float32', 'float64'] as const).map((dtype) => Tensor.randn([101], { dtype, generator: new Generator(5) }));
    expect([...(single?.data ?? [])]).toEqual([...(double?.data ?? [])].map(Math.fround));
  });

  test('refuse what they cannot use', () => {
    expectRefused(
      () => Tensor.zeros([1], { dtype: 'float16' as DType }),
      'ERR_DTYPE',
      'dtype: expected "float32" or "float64", got "float16"',
    );
    expectRefused(() => Tensor.zeros([1], { dtpye: 'float64' } as object), 'ERR_OPTION', 'unknown option "dtpye". Did you mean "dtype"?');
    expectRefused(() => Tensor.zeros([2 ** 50]), 'ERR_MEMORY', 'are available');
    expectRefused(() => Tensor.randn([1], { generator: {} as Generator }), 'ERR_OPTION', 'generator: expected a Generator, got an object');
  });
});

describe('checkTensor', () => {
  const tensor = Tensor.zeros([2, 3]);

  test('takes any size for a named dimension, but not zero', () => {
    expect(checkTensor('x', tensor, 'float32', ['N', 3])).toBe(tensor);
    expectRefused(() => checkTensor('x', Tensor.zeros([0, 3]), 'float32', ['N', 3]), 'ERR_SHAPE', 'x: expected shape [N, 3], got [0, 3]');
    expectRefused(() => checkTensor('x', tensor, 'float32', ['N', 'T', 3]), 'ERR_SHAPE', 'expected shape [N, T, 3], got [2, 3]');
    expectRefused(() => checkTensor('x', tensor, 'float64'), 'ERR_DTYPE', 'x: expected a float64 tensor, got float32');
  });

  test('is not taken in by what only looks like a tensor', () => {
    for (const fake of [Object.create(Tensor.prototype), new Proxy(tensor, {}), { ...tensor }]) {
      expectRefused(() => checkTensor('x', fake), 'ERR_OPTION', 'x: expected a Tensor');
    }
  });

  test('a subclass cannot lie about its fields', () => {
    class Lying extends Tensor {}
    for (const key of ['size', 'shape', 'dtype']) Object.defineProperty(Lying.prototype, key, { get: () => 'a lie' });
    expect(checkTensor('x', new Lying(new Float64Array(6), [2, 3]), 'float64', [2, 3]).size).toBe(6);
  });

  test('notices a buffer that was transferred or has shrunk', () => {
    const moved = Tensor.zeros([4]);
    detach(moved.data);
    expectRefused(() => checkTensor('x', moved), 'ERR_STATE', 'x: expected the 4 elements of its shape [4], but its buffer now holds 0');

    const resizable = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 16 }]) as ArrayBuffer & { resize(length: number): void };
    const shrunk = new Tensor(new Float32Array(resizable), [4]);
    resizable.resize(8);
    expectRefused(() => checkTensor('x', shrunk), 'ERR_STATE', 'holds 2');
  });

  test('notices it of a tensor without elements too', () => {
    const moved = new Tensor(new Float64Array(0), [3, 0]);
    expect(checkTensor('x', moved)).toBe(moved);
    detach(moved.data);
    expectRefused(() => checkTensor('x', moved), 'ERR_STATE', 'x: expected the 0 elements of its shape [3, 0], but its buffer now holds 0');

    const resizable = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 16 }]) as ArrayBuffer & { resize(length: number): void };
    const beyond = new Tensor(new Float32Array(resizable, 8, 0), [0]);
    resizable.resize(4);
    expectRefused(() => checkTensor('x', beyond), 'ERR_STATE');
  });
});

test('elementCount multiplies, and an empty product is 1', () => {
  expect(elementCount([])).toBe(1);
  expect(elementCount([7, 11, 13])).toBe(1001);
});
