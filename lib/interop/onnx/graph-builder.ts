import type { Tensor } from '../../tensor';
import {
  ATTRIBUTE,
  type AttributeProto,
  ELEMENT,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './messages';

/** An attribute by its value: whole numbers and lists of them, texts, constants and graphs; `{ f }` for a number with a fraction. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | { f: number }
  | { tensor: TensorProto }
  | { graph: GraphProto };

/** Writes a graph node by node. Names within are unique as long as prefixes are. */
export class GraphBuilder {
  readonly #prefix: string;
  readonly #nodes: NodeProto[] = [];
  readonly #initializers = new Map<string, TensorProto>();
  readonly #names = new Map<string, number>();
  /** of ELEMENT: that of all numbers of the model */
  readonly element: number;

  constructor(prefix: string, element: number) {
    this.#prefix = prefix;
    this.element = element;
  }

  /** Adds a node, and gives the names of its outputs. */
  nodes(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>>,
    outputs: number,
    more: NodeProto = {},
  ): string[] {
    const name = more.name ?? this.#unique(`${this.#prefix}${type}`);
    const output = Array.from({ length: outputs }, (_, index) => (outputs === 1 ? `${name}_output` : `${name}_output_${index}`));
    const attribute = Object.entries(attributes).map(([key, value]) => attributeOf(key, value));
    const lastInput = inputs.findLastIndex((input) => input !== '');
    this.#nodes.push({ ...more, name, op_type: type, input: inputs.slice(0, lastInput + 1), output, attribute });
    return output;
  }

  node(type: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeValue>> = {}, more: NodeProto = {}): string {
    return this.nodes(type, inputs, attributes, 1, more)[0] as string;
  }

  /** A name for a node of a module, as PyTorch's exporter has them: `/rnn/LSTM`, `/rnn/LSTM_1`. */
  nodeName(scope: string, type: string): string {
    return this.#unique(`/${scope === '' ? '' : `${scope.replaceAll('.', '/')}/`}${type}`);
  }

  /** A tensor of the model, in its element type. */
  tensor(name: string, { data, shape }: Tensor): string {
    const numbers = this.element === ELEMENT.double ? Float64Array.from(data) : Float32Array.from(data);
    const raw = new Uint8Array(numbers.buffer);
    this.#initializers.set(name, { name, dims: [...shape], data_type: this.element, raw_data: raw });
    return name;
  }

  /** A constant list of whole numbers; one without dims is a single number. */
  integers(numbers: readonly number[], dims: readonly number[] = [numbers.length]): string {
    const raw = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
    return this.#constant(`integers_${numbers.join('_').replaceAll('-', 'minus_')}_${dims.length}`, {
      dims: [...dims],
      data_type: ELEMENT.int64,
      raw_data: raw,
    });
  }

  /** A constant number. */
  number(value: number): string {
    const raw = new Uint8Array(this.element === ELEMENT.double ? Float64Array.of(value).buffer : Float32Array.of(value).buffer);
    return this.#constant(`number_${String(value).replaceAll('-', 'minus_')}`, { dims: [], data_type: this.element, raw_data: raw });
  }

  /** Zeros of a shape that is computed. */
  zeros(shape: string): string {
    const raw_data = new Uint8Array(this.element === ELEMENT.double ? 8 : 4);
    return this.node('ConstantOfShape', [shape], { value: { tensor: { dims: [1], data_type: this.element, raw_data } } });
  }

  finish(name: string, input: ValueInfoProto[], output: ValueInfoProto[]): GraphProto {
    return { name, node: this.#nodes, initializer: [...this.#initializers.values()], input, output };
  }

  info(name: string, dims: readonly (number | string)[], element = this.element): ValueInfoProto {
    const dim = dims.map((size) => (typeof size === 'number' ? { dim_value: size } : { dim_param: size }));
    return { name, type: { tensor_type: { elem_type: element, shape: { dim } } } };
  }

  #constant(word: string, tensor: TensorProto): string {
    const name = `${this.#prefix}${word}`;
    if (!this.#initializers.has(name)) this.#initializers.set(name, { ...tensor, name });
    return name;
  }

  #unique(name: string): string {
    const count = this.#names.get(name) ?? 0;
    this.#names.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  }
}

function attributeOf(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number') return { name, type: ATTRIBUTE.int, i: value };
  if (typeof value === 'string') return { name, type: ATTRIBUTE.string, s: Buffer.from(value) };
  if ('f' in value) return { name, type: ATTRIBUTE.float, f: value.f };
  if ('tensor' in value) return { name, type: ATTRIBUTE.tensor, t: value.tensor };
  if ('graph' in value) return { name, type: ATTRIBUTE.graph, g: value.graph };
  if (value.every((item) => typeof item === 'number')) return { name, type: ATTRIBUTE.ints, ints: [...value] };
  return { name, type: ATTRIBUTE.strings, strings: value.map((item) => Buffer.from(String(item))) };
}
