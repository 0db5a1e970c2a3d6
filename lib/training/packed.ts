import { Tensor } from '../tensor';

/**
 * Values of any form (numbers, truth values, texts, lists, Float64Arrays, records) as two tensors, exactly: all numbers in a row, and the form as
 * JSON, one UTF-8 byte to a number. So a history fits into a safetensors file, with its NaN and infinities.
 */
export function pack(value: unknown): { numbers: Tensor; form: Tensor } {
  const numbers: number[] = [];
  const form = Buffer.from(JSON.stringify(formOf(value, numbers)));
  return { numbers: vector(Float64Array.from(numbers)), form: vector(Float32Array.from(form)) };
}

/**
 * The inverse of {@link pack}.
 * @throws a SyntaxError or RangeError for anything that it did not make
 */
export function unpack({ numbers, form }: { numbers: Tensor; form: Tensor }): unknown {
  const reader = new Reader(numbers.data as Float64Array);
  const value = reader.read(JSON.parse(Buffer.from(form.data).toString()));
  reader.end();
  return value;
}

/** A list's kind and length, a text, lists and records of others, or the kind of a single value. */
type Form =
  | 'number'
  | 'boolean'
  | ['numbers' | 'booleans' | 'float64', number]
  | ['text', string]
  | ['list', Form[]]
  | { [key: string]: Form };

function formOf(value: unknown, numbers: number[]): Form {
  if (typeof value === 'string') return ['text', value];
  if (typeof value === 'number' || typeof value === 'boolean') {
    numbers.push(Number(value));
    return typeof value as 'number' | 'boolean';
  }
  if (value instanceof Float64Array) return ['float64', pushAll(value, numbers)];
  if (Array.isArray(value)) {
    for (const [kind, form] of [['number', 'numbers'] as const, ['boolean', 'booleans'] as const]) {
      if (value.every((element) => typeof element === kind)) return [form, pushAll(value.map(Number), numbers)];
    }
    return ['list', value.map((element) => formOf(element, numbers))];
  }
  const entries = Object.entries(value as object).filter(([, own]) => own !== undefined);
  return Object.fromEntries(entries.map(([key, own]) => [key, formOf(own, numbers)]));
}

/** Not by spreading: a long list has more numbers than a call has arguments. */
function pushAll(values: ArrayLike<number>, numbers: number[]): number {
  for (let i = 0; i < values.length; i++) numbers.push(values[i] as number);
  return values.length;
}

class Reader {
  readonly #numbers: Float64Array;
  #next = 0;

  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
  }

  read(form: Form): unknown {
    if (form === 'number') return this.#take(1)[0];
    if (form === 'boolean') return this.#take(1)[0] === 1;
    if (!Array.isArray(form)) return Object.fromEntries(Object.entries(form).map(([key, own]) => [key, this.read(own)]));
    const [kind, content] = form;
    if (kind === 'text') return content;
    if (kind === 'list') return content.map((own) => this.read(own));
    const values = this.#take(content);
    if (kind === 'float64') return values.slice();
    return kind === 'numbers' ? Array.from(values) : Array.from(values, (value) => value === 1);
  }

  end(): void {
    if (this.#next !== this.#numbers.length) throw new RangeError(`${this.#numbers.length - this.#next} numbers too many`);
  }

  #take(count: number): Float64Array {
    const taken = this.#numbers.subarray(this.#next, this.#next + count);
    if (taken.length !== count) throw new RangeError('too few numbers');
    this.#next += count;
    return taken;
  }
}

function vector(data: Float64Array | Float32Array): Tensor {
  return new Tensor(data, [data.length]);
}
