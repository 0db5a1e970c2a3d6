import { Parameter, Tensor } from '../../lib/index';
import { checkParameters, checkParametersAttached } from '../../lib/parameter';
import { detach, expectRefused } from '../helpers/errors';

const make = (name = 'weight') => new Parameter(name, Tensor.from([1, 2]));

test('a gradient is made of zeros unless given', () => {
  const value = Tensor.from([[1, 2]], { dtype: 'float64' });
  expect(new Parameter('w', value).grad).toMatchObject({ dtype: 'float64', shape: [1, 2] });
  const grad = Tensor.from([[3, 4]], { dtype: 'float64' });
  expect(new Parameter('w', value, grad)).toMatchObject({ name: 'w', value, grad });
});

test('a gradient unlike the value is refused', () => {
  expectRefused(() => new Parameter('w', Tensor.from([1]), Tensor.from([1, 2])), 'ERR_SHAPE', 'grad: expected shape [1], got [2]');
  expectRefused(() => new Parameter('w', Tensor.from([1]), Tensor.from([1], { dtype: 'float64' })), 'ERR_DTYPE', 'grad');
  expectRefused(() => new Parameter('', Tensor.from([1])), 'ERR_OPTION', 'name');
  expectRefused(() => new Parameter('w', [1] as unknown as Tensor), 'ERR_OPTION', 'value: expected a Tensor');
});

test('checkParameters gives a copy of a list of different parameters', () => {
  const list = [make(), make()];
  const checked = checkParameters('parameters', list);
  expect(checked).toEqual(list);
  expect(checked).not.toBe(list);
});

test('a list that was checked before is checked again where an element is another', () => {
  const [first, second, third] = [make(), make(), make()];
  const list = [first, second, third];
  const checked = checkParameters('parameters', list);
  expect(checkParameters('parameters', [first, second, third])).toBe(checked);
  list[2] = second;
  expectRefused(() => checkParameters('parameters', list), 'ERR_OPTION', 'parameters[2]: expected each parameter once');
  expectRefused(() => checkParameters('parameters', [first, second, {}]), 'ERR_OPTION', 'parameters[2]: expected a Parameter');
  expect(checkParameters('parameters', [first, second])).toHaveLength(2);
  expect(checked).toEqual([first, second, third]);
  let reads = 0;
  const changing = Object.defineProperty([first, second, third], 1, { get: () => (reads++ === 0 ? second : third) });
  expect(checkParameters('parameters', changing)[1]).toBe(second);
});

test('a gradient in the memory of its value is refused, however little they share', () => {
  const value = Tensor.from([1, 2, 3]);
  expectRefused(() => new Parameter('w', value, value), 'ERR_OPTION', 'grad: expected memory of its own');
  const memory = new Float32Array(6);
  const view = (begin: number, length: number) => new Tensor(memory.subarray(begin, begin + length), [length]);
  expectRefused(() => new Parameter('w', view(0, 4), view(2, 4)), 'ERR_OPTION', 'grad: expected memory');
  expect(new Parameter('w', view(0, 3), view(3, 3)).grad.data[0]).toBe(0);
});

test('shared memory is known by any of its handles', () => {
  const memory = new SharedArrayBuffer(24);
  const other = structuredClone(memory);
  const view = (buffer: SharedArrayBuffer, begin: number, length: number) =>
    new Tensor(new Float32Array(buffer, 4 * begin, length), [length]);
  expectRefused(() => new Parameter('w', view(memory, 0, 4), view(other, 2, 4)), 'ERR_OPTION', 'grad: expected memory of its own');
  const [first, second] = [new Parameter('a', view(memory, 0, 3)), new Parameter('b', view(other, 2, 3))];
  expectRefused(() => checkParameters('p', [first, second]), 'ERR_OPTION', 'got "b" in that of "a"');
  expect(checkParameters('p', [first, new Parameter('b', view(other, 3, 3))])).toHaveLength(2);
});

test('parameters side by side in one buffer are different ones, those that overlap are not', () => {
  const memory = new Float64Array(6);
  const at = (name: string, begin: number, length: number) =>
    new Parameter(name, new Tensor(memory.subarray(begin, begin + length), [length]));
  expect(checkParameters('p', [at('a', 0, 3), at('b', 3, 3)])).toHaveLength(2);
  expectRefused(() => checkParameters('p', [at('a', 0, 4), at('b', 3, 3)]), 'ERR_OPTION', 'p[1]: expected each parameter once');
});

test('the same memory twice is refused, also in two parameters', () => {
  const parameter = make();
  expectRefused(
    () => checkParameters('parameters', [make(), parameter, parameter]),
    'ERR_OPTION',
    'parameters[2]: expected each parameter once',
  );
  expectRefused(
    () => checkParameters('p', [parameter, new Parameter('other', parameter.value)]),
    'ERR_OPTION',
    'got "other" in that of "weight"',
  );
  expectRefused(() => checkParameters('p', [parameter, new Parameter('third', make().value, parameter.grad)]), 'ERR_OPTION', '"third"');
});

test.each<[unknown, string]>([
  [[], 'parameters: expected at least one Parameter'],
  [make(), 'parameters: expected an array of Parameters, got an instance of Parameter'],
  [new Set([make()]), 'parameters: expected an array of Parameters'],
  [[make().value], 'parameters[0]: expected a Parameter, got an instance of Tensor. Give it model.parameters().'],
  [[new Proxy(make(), {})], 'parameters[0]: expected a Parameter'],
  [[Object.create(Parameter.prototype)], 'parameters[0]: expected a Parameter'],
  [new Array(1e9), 'parameters: expected an array of Parameters, got an array of length 1000000000'],
])('refuses %#', (list, text) => {
  expectRefused(() => checkParameters('parameters', list), 'ERR_OPTION', text);
});

test('checkParametersAttached names the buffer that is gone', () => {
  const [first, second] = [make('a'), make('b')];
  expect(() => checkParametersAttached([first, second])).not.toThrow();
  detach(second.grad.data);
  expectRefused(() => checkParametersAttached([first, second]), 'ERR_STATE', 'gradient of b: expected');
  detach(first.value.data);
  expectRefused(() => checkParametersAttached([first, second]), 'ERR_STATE', 'a: expected');
});

test('a list that was checked before and has changed since is checked again', () => {
  const list = [make('a'), make('b')];
  expect(checkParameters('p', list)).toEqual(list);
  expect(checkParameters('p', list)).toEqual(list);
  list.push(list[1] as Parameter);
  expectRefused(() => checkParameters('p', list), 'ERR_OPTION', 'p[2]: expected each parameter once');
  list.splice(1, 2, list[0] as Parameter);
  expectRefused(() => checkParameters('p', list), 'ERR_OPTION', 'p[1]: expected each parameter once');
  expectRefused(() => checkParameters('p', [list[0], null]), 'ERR_OPTION', 'p[1]: expected a Parameter');
});

test('what a caller does to a checked list is none of the next check', () => {
  const [a, b] = [make('a'), make('b')];
  const checked = checkParameters('p', [a, b]) as Parameter[];
  expect(() => {
    checked[1] = a;
  }).toThrow(TypeError);
  expectRefused(() => checkParameters('p', [a, a]), 'ERR_OPTION', 'p[1]: expected each parameter once');
  expect(checkParameters('p', [a, b])).toEqual([a, b]);
});
