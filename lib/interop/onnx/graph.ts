/** Follows a graph from its input to its output, and gives the chain of layers that it is. */
import { fileFault, quote } from '../../io/file';
import { checkCount, reshape, transpose } from './arrays';
import { LAYERS } from './layer-nodes';
import type { GraphProto, NodeProto, ValueInfoProto } from './messages';
import { Node, type NodeContext, UNROLLED } from './node';
import { PLUMBING } from './plumbing';
import { nodeLabel, Trace } from './trace';
import { describeValue, elementName, isFloat, type ReadExternal, readTensorProto, type Value } from './values';

const OPERATORS = { ...PLUMBING, ...LAYERS };

/** Constants of a graph by name, read once. */
export type Constants = ReadonlyMap<string, Value>;

/** @throws EvenkeelError ERR_FILE for tensors that are not understood, come twice, or no node reads */
export function readConstants(where: string, graph: GraphProto, readExternal: ReadExternal): Constants {
  if ((graph.sparse_initializer ?? []).length > 0) fileFault(where, 'dense tensors', 'sparse ones');
  const constants = new Map<string, Value>();
  for (const tensor of graph.initializer ?? []) {
    const { name = '' } = tensor;
    if (constants.has(name)) fileFault(where, 'tensors of different names', `${quote(name)} twice`);
    constants.set(name, readTensorProto(`${where}, tensor ${quote(name)}`, tensor, readExternal));
  }
  const read = new Set((graph.node ?? []).flatMap(readBy));
  const unread = [...constants.keys()].filter((name) => !read.has(name)).map((name) => quote(name));
  if (unread.length > 0) fileFault(where, 'tensors that some node reads', unread.slice(0, 10).join(', '));
  return constants;
}

/** What a node reads, its bodies too. */
function readBy({ input = [], attribute = [] }: NodeProto): string[] {
  return [...input, ...attribute.flatMap(({ g }) => (g?.node ?? []).flatMap(readBy))];
}

/** Sizes of the axes that a graph leaves open, by name or by place. */
export interface OpenSizes {
  of(name: string): number;
}

interface GraphContext extends NodeContext {
  readonly where: string;
  readonly graph: GraphProto;
  readonly sizes: OpenSizes;
}

/** How many nodes' inputs, and outputs of the graph, each name is. */
export function countReaders({ node = [], output = [] }: GraphProto): Map<string, number> {
  const readers = new Map<string, number>();
  for (const name of [...node.flatMap(readBy), ...output.map(({ name = '' }) => name)]) readers.set(name, (readers.get(name) ?? 0) + 1);
  return readers;
}

/** @throws EvenkeelError ERR_FILE that names the node which is not understood */
export function traceGraph(context: GraphContext): Trace {
  const { where, graph, constants } = context;
  const trace = new Trace(where);
  const values = new Map<string, Value>(constants);
  for (const info of graph.input ?? []) if (!constants.has(info.name ?? '')) values.set(info.name ?? '', inputValue(trace, info, context));
  if (trace.stages.length === 0) fileFault(where, 'an input of numbers or symbols', 'none');
  for (const proto of graph.node ?? []) traceNode(trace, proto, values, context);
  readOutputs(trace, graph, values);
  return trace;
}

/** The first input is the model's; others are lengths of the sequences, or initial states. */
function inputValue(trace: Trace, info: ValueInfoProto, { where, sizes }: GraphContext): Value {
  const label = `${where}, input ${quote(info.name ?? '')}`;
  const { elem_type: type = 0, shape } = info.type?.tensor_type ?? fileFault(label, 'a tensor', 'something else');
  const dims = (shape?.dim ?? []).map(({ dim_value: size = 0, dim_param: name = '' }, axis) =>
    size > 0 ? size : sizes.of(name || `${info.name} ${axis}`),
  );
  trace.within({ name: info.name, op_type: 'input' }, () => checkCount(dims));
  const areSymbols = !isFloat(type);
  if (trace.stages.length === 0) {
    const least = areSymbols ? 1 : 2;
    if (dims.length < least) fileFault(label, `an input of at least ${least} axes of ${elementName(type)}`, `${dims.length}`);
    const features = (shape?.dim ?? []).at(-1)?.dim_value ?? 0;
    if (!areSymbols && features <= 0) fileFault(label, 'a fixed number of features in its last axis', 'a variable one');
    return trace.begin(dims, type, areSymbols);
  }
  if (areSymbols && dims.length === 1 && trace.lengths === undefined) return trace.beginLengths(dims[0] as number, type);
  if (isFloat(type) && dims.length === 3) return trace.beginState(dims, type);
  return fileFault(
    label,
    'the lengths of the sequences [N], or an initial state [L·D, N, H]',
    `${elementName(type)} of ${dims.length} axes`,
  );
}

function traceNode(trace: Trace, proto: NodeProto, values: Map<string, Value>, context: GraphContext): void {
  const { where } = context;
  const { op_type: type = '', domain = '', input = [], output = [] } = proto;
  if ((domain !== '' && domain !== 'ai.onnx') || !Object.hasOwn(OPERATORS, type)) {
    const known = `one of ${Object.keys(OPERATORS).sort().join(', ')}`;
    fileFault(
      nodeLabel(where, proto),
      `an operator that is understood, ${known}`,
      quote(domain === '' ? type : `${domain}.${type}`),
      UNROLLED,
    );
  }
  const inputs = input.map((name) =>
    name === '' ? undefined : (values.get(name) ?? fileFault(nodeLabel(where, proto), 'inputs that come before', quote(name))),
  );
  const node = new Node(trace, proto, inputs, context);
  const made = trace.within(proto, () => (OPERATORS[type] as (typeof OPERATORS)[string])(node));
  node.checkAllRead();
  trace.count(proto, made);
  output.forEach((name, index) => {
    if (name === '') return;
    if (values.has(name)) fileFault(nodeLabel(where, proto), 'an output of a new name', quote(name));
    values.set(name, made[index] ?? fileFault(nodeLabel(where, proto), `at most ${made.length} outputs`, `${output.length}`));
  });
}

/** The first output is the model's; others may be final states. */
function readOutputs(trace: Trace, graph: GraphProto, values: ReadonlyMap<string, Value>): void {
  const [first, ...others] = graph.output ?? [];
  const value = values.get(first?.name ?? '');
  if (value === undefined) trace.fail(undefined, 'an output that a node gives', quote(first?.name ?? ''));
  for (const { name = '' } of others) {
    const state = values.get(name);
    if (state === undefined || !trace.isState(state)) {
      trace.fail(
        undefined,
        'final states as further outputs',
        `${quote(name)}, ${state === undefined ? 'which no node gives' : describeValue(state)}`,
      );
    }
  }
  if (trace.layers.length === 0) trace.fail(undefined, 'at least one layer', 'none');
  trace.settle(undefined, joinDirections(value, trace.last.width));
}

/** Outputs of both directions, where they are apart [T, D, N, H] or [D, N, H], or of layout 1 [N, T, D, H], as rows [..., D·H]. */
function joinDirections(value: Value, width: number): Value {
  const { dims } = value;
  const size = dims.at(-1) as number;
  if (size === width || 2 * size !== width || dims.length < 3) return value;
  const axis = [dims.length - 3, dims.length - 2].find((place) => dims[place] === 2);
  if (axis === undefined) return value;
  const order = dims.map((_, place) => place).filter((place) => place !== axis);
  const joined = transpose(value, order.toSpliced(-1, 0, axis));
  return reshape(joined, [...joined.dims.slice(0, -2), width], true);
}
