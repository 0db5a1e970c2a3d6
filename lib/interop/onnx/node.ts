import { ATTRIBUTE, type AttributeProto, type GraphProto, type NodeProto } from './messages';
import { nodeLabel, type Trace } from './trace';
import { describeValue, type ReadExternal, readTensorProto, type Value } from './values';

/** A hint where there is arithmetic that is no layer. */
export const UNROLLED =
  'A loop over time that was unrolled is no recurrent layer any more: PyTorch exports nn.RNN whole with dynamo=False.';

/** What nodes of a graph have in common. */
export interface NodeContext {
  /** of the operators' version */
  readonly opset: number;
  readonly readExternal: ReadExternal;
  readonly constants: ReadonlyMap<string, Value>;
  /** how many inputs and outputs of the graph read a value, by name */
  readonly readers: ReadonlyMap<string, number>;
}

/** A node as an operator sees it: its inputs' values and its attributes, each of which must be read, or an error names it. */
export class Node {
  readonly trace: Trace;
  readonly proto: NodeProto;
  /** of the operators' version */
  readonly opset: number;
  readonly #inputs: readonly (Value | undefined)[];
  readonly #attributes: ReadonlyMap<string, AttributeProto>;
  readonly #unread: Set<string>;
  readonly #context: NodeContext;

  constructor(trace: Trace, proto: NodeProto, inputs: readonly (Value | undefined)[], context: NodeContext) {
    this.trace = trace;
    this.proto = proto;
    this.opset = context.opset;
    this.#inputs = inputs;
    this.#context = context;
    this.#attributes = new Map((proto.attribute ?? []).map((attribute) => [attribute.name ?? '', attribute]));
    this.#unread = new Set(this.#attributes.keys());
  }

  get type(): string {
    return this.proto.op_type ?? '';
  }

  get inputCount(): number {
    return this.#inputs.length;
  }

  /** of the outputs that somebody names */
  get outputNames(): readonly string[] {
    return this.proto.output ?? [];
  }

  /** An input that may be left out. */
  optional(index: number): Value | undefined {
    return this.#inputs[index];
  }

  input(index: number): Value {
    return this.#inputs[index] ?? this.fail(`an input ${index}`, 'none');
  }

  /** Whether nobody else reads a value that is an input here. */
  isOnlyReader(value: Value): boolean {
    const name = this.proto.input?.[this.#inputs.indexOf(value)] ?? '';
    return this.#context.readers.get(name) === 1;
  }

  constant(index: number): Value {
    const value = this.input(index);
    return value.traced ? this.fail(`a constant for input ${index}`, describeValue(value)) : value;
  }

  /** A constant list of whole numbers; undefined where the input is left out. */
  integers(index: number): number[] | undefined {
    return this.optional(index) === undefined ? undefined : Array.from(this.constant(index).data);
  }

  int<T>(name: string, otherwise: T): number | T {
    return this.#read(name, ATTRIBUTE.int)?.i ?? (this.#attributes.has(name) ? 0 : otherwise);
  }

  float<T>(name: string, otherwise: T): number | T {
    return this.#read(name, ATTRIBUTE.float)?.f ?? (this.#attributes.has(name) ? 0 : otherwise);
  }

  text<T>(name: string, otherwise: T): string | T {
    const bytes = this.#read(name, ATTRIBUTE.string)?.s;
    return bytes === undefined ? otherwise : Buffer.from(bytes).toString();
  }

  ints(name: string): number[] | undefined {
    const attribute = this.#read(name, ATTRIBUTE.ints);
    return attribute && (attribute.ints ?? []);
  }

  floats(name: string): number[] | undefined {
    const attribute = this.#read(name, ATTRIBUTE.floats);
    return attribute && (attribute.floats ?? []);
  }

  texts(name: string): string[] | undefined {
    const attribute = this.#read(name, ATTRIBUTE.strings);
    return attribute && (attribute.strings ?? []).map((bytes) => Buffer.from(bytes).toString());
  }

  graph(name: string): GraphProto | undefined {
    return this.#read(name, ATTRIBUTE.graph)?.g;
  }

  /** A constant that a body reads from outside. */
  outer(name: string): Value {
    return this.#context.constants.get(name) ?? this.fail(`a tensor ${JSON.stringify(name.slice(0, 100))}`, 'none');
  }

  tensor(name: string): Value | undefined {
    const tensor = this.#read(name, ATTRIBUTE.tensor)?.t;
    return tensor && readTensorProto(`${nodeLabel(this.trace.where, this.proto)}, ${name}`, tensor, this.#context.readExternal);
  }

  /** An attribute that changes nothing here. */
  passOver(...names: readonly string[]): void {
    for (const name of names) this.#unread.delete(name);
  }

  /** The axes of an operator that has them as an attribute before some version, and as an input since. */
  axes(since: number, index = 1): number[] | undefined {
    return this.opset < since ? this.ints('axes') : this.integers(index);
  }

  /** @throws EvenkeelError ERR_FILE when an attribute was not read: it may say another function */
  checkAllRead(): void {
    const [name] = this.#unread;
    if (name !== undefined) this.fail('attributes that are known', JSON.stringify(name.slice(0, 60)));
  }

  fail(expected: string, got: string, hint?: string): never {
    return this.trace.fail(this.proto, expected, got, hint);
  }

  #read(name: string, type: number): AttributeProto | undefined {
    const attribute = this.#attributes.get(name);
    this.#unread.delete(name);
    if (attribute === undefined) return undefined;
    if (attribute.type !== type || attribute.ref_attr_name) this.fail(`an attribute ${name} of type ${type}`, `type ${attribute.type}`);
    return attribute;
  }
}
