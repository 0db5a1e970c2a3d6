/** A Scan that toOnnx wrote: known by its note, and then by being written again and found the same. */
import { formatShape } from '../../errors';
import { GRU } from '../../layers/gru';
import { LSTM } from '../../layers/lstm';
import { RNN } from '../../layers/rnn';
import { readBy } from '../../schema';
import { ofLevel } from './levels';
import { GRAPH } from './messages';
import type { Node } from './node';
import type { ScanNote } from './recurrent-writer';
import { type CellOptions, outputSizeOf, scanBody, statesOf } from './scan-body';
import { scopeOf } from './scope';
import { describeValue, toTensor, type Value } from './values';
import { writeMessage } from './wire';

const SCHEMAS = { RNN: RNN.schema, GRU: GRU.schema, LSTM: LSTM.schema };
const HINT = 'Of Scans those alone are known that toOnnx wrote, unchanged.';

export function scanNode(node: Node): Value[] {
  const { note, cell } = readNote(node);
  const directions = cell.bidirectional ? 2 : 1;
  const states = Array.from({ length: directions }, () => statesOf(cell)).flat();
  const inputs = Array.from({ length: node.inputCount }, (_, index) => node.input(index));
  const scanned = inputs.slice(states.length);
  const hasMask = scanned.length === 2 * directions;
  checkBody(node, note, cell, hasMask);
  checkDirections(node, directions, hasMask);
  const [x, mask] = scanned as [Value, Value | undefined];
  const each = hasMask ? 2 : 1;
  const areSame = scanned.every((value, index) => value.data === (index % each === 0 ? x : mask)?.data);
  const areZeros = inputs.slice(0, states.length).every((value) => !value.traced && value.data.every((number) => number === 0));
  if (scanned.length !== each * directions || !areSame || !areZeros)
    node.fail('zeros, and the same steps in each direction', 'others', HINT);
  return traceScan(node, note, cell, x, hasMask ? lengthsOf(node, mask as Value) : undefined);
}

function readNote(node: Node): { note: ScanNote; cell: CellOptions } {
  try {
    const note = JSON.parse(node.proto.doc_string ?? '') as ScanNote;
    const { type, ...options } = note.evenkeel;
    const schema =
      Object.hasOwn(SCHEMAS, type) && Number.isInteger(note.level) && typeof note.prefix === 'string' ? SCHEMAS[type] : undefined;
    if (schema === undefined) throw new Error();
    // Checked as a constructor would, which then has all others by default.
    return { note, cell: { ...readBy('options', options, schema), type } as unknown as CellOptions };
  } catch {
    return node.fail('a Scan with the note of toOnnx', 'another', HINT);
  }
}

function checkBody(node: Node, { evenkeel, prefix, level }: ScanNote, cell: CellOptions, hasMask: boolean): void {
  const nameOf = (parameter: string) => `${prefix}${ofLevel(parameter, level)}`;
  const body = node.graph('body') ?? node.fail('a body', 'none');
  const [h] = [node.input(0)];
  const again = scanBody({ cell, prefix: `${node.proto.name}/`, element: h.type, hasMask, nameOf }).graph;
  const [given, expected] = [body, again].map((graph) => Buffer.concat(writeMessage(graph as Record<string, unknown>, GRAPH)));
  if (!given?.equals(expected as Buffer)) node.fail(`the body of the ${evenkeel.type} that its note tells of`, 'another', HINT);
}

function checkDirections(node: Node, directions: number, hasMask: boolean): void {
  const ins = Array.from({ length: directions }, (_, direction) => (hasMask ? [direction, direction] : [direction])).flat();
  const outs = Array.from({ length: directions }, (_, direction) => direction);
  const isSame =
    node.int('num_scan_inputs', 0) === ins.length &&
    `${node.ints('scan_input_directions')}` === `${ins}` &&
    `${node.ints('scan_output_directions')}` === `${outs}`;
  if (!isSame) node.fail('directions as toOnnx writes them', 'others', HINT);
}

/** The lengths that a mask [T, N, 1] says. */
function lengthsOf(node: Node, { data, dims, traced, type }: Value): Value {
  const [t = 0, n = 0] = dims;
  const lengths = new Float64Array(n);
  data.forEach((counts, i) => {
    lengths[i % n] = (lengths[i % n] as number) + counts;
  });
  const isMask =
    !traced &&
    dims.length === 3 &&
    dims[2] === 1 &&
    data.every((counts, i) => counts === (Math.floor(i / n) < (lengths[i % n] as number) ? 1 : 0));
  return isMask
    ? { dims: [n], data: lengths, type, traced: false }
    : node.fail('a mask of the steps that count', describeValue({ data, dims: [t, n], traced, type }), HINT);
}

function traceScan(node: Node, { evenkeel, prefix, level }: ScanNote, cell: CellOptions, x: Value, lengths: Value | undefined): Value[] {
  const { type, ...options } = evenkeel;
  const size = outputSizeOf(cell);
  const directions = cell.bidirectional ? 2 : 1;
  const [t = 0, n = 0, inputSize = 0] = x.dims;
  if (x.dims.length !== 3 || inputSize !== cell.inputSize) node.fail(`steps of ${cell.inputSize} numbers`, describeValue(x));
  const values = Object.fromEntries(
    parametersOf(node, cell).map((name) => [name, toTensor(node.outer(`${prefix}${ofLevel(name, level)}`))]),
  );
  const gates = { RNN: 1, GRU: 3, LSTM: 4 }[type];
  const rows = values.weight_hh_l0?.shape ?? [];
  if (rows[0] !== gates * cell.hiddenSize || rows[1] !== size)
    node.fail(`weights ${formatShape([gates * cell.hiddenSize, size])}`, formatShape(rows));
  const layer = { type, options, values, scope: scopeOf(node.proto), open: new Set<string>() };
  const { steps, ends } = node.trace.addRecurrent(node.proto, x, layer, directions * size, lengths);
  const part = (value: Value, direction: number, dims: readonly number[]): Value => ({
    ...value,
    dims,
    data: value.data.filter((_, i) => Math.floor((i % (directions * size)) / size) === direction),
  });
  const finals = Array.from({ length: directions }, (_, direction) =>
    statesOf(cell).map(([name, width]) => (name === 'h' ? part(ends, direction, [n, size]) : node.trace.foreign([n, width], x.type))),
  ).flat();
  return [...finals, ...Array.from({ length: directions }, (_, direction) => part(steps, direction, [t, n, size]))];
}

function parametersOf(node: Node, cell: CellOptions): string[] {
  const { parameters } = scanBody({ cell, prefix: '', element: node.input(0).type, hasMask: false, nameOf: (name) => name });
  return [...parameters];
}
