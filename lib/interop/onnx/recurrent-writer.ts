/** RNN, GRU and LSTM as ONNX' own nodes, and cells that those are not as Scans. */
import { fail } from '../../check';
import type { Tensor } from '../../tensor';
import { concatenated, reorderBlocks } from '../arrange';
import { hasZoneout } from '../layer-kinds';
import { type Flow, type Leaf, parameterName, stepMask } from './flow';
import type { AttributeValue } from './graph-builder';
import { ofLevel } from './levels';
import { type CellOptions, outputSizeOf, scanBody, statesOf } from './scan-body';

/** ONNX' order of gates by ours: i, o, f, c of i, f, g, o; z, r, h of r, z, n. */
const ORDER: Readonly<Record<string, readonly number[]>> = { RNN: [0], GRU: [1, 0, 2], LSTM: [0, 3, 1, 2] };

/** What a layer of a stack gives: all steps [T, N, D·P], and the ends [N, D·P]. */
interface Level {
  readonly steps: () => string;
  readonly ends: () => string;
}

/** @returns D·P */
export function writeRecurrent(flow: Flow, leaf: Leaf): number {
  const { builder } = flow;
  const { options, type, scope } = leaf;
  const cell = { ...options, type } as unknown as CellOptions & { numLayers: number; returnSequences: boolean; stateful: boolean };
  if (cell.stateful) {
    fail(
      'ERR_OPTION',
      scope === '' ? 'model' : `model.${scope}`,
      'a layer that starts from zeros',
      'a stateful one',
      'Make one with stateful: false.',
    );
  }
  const directions = cell.bidirectional ? 2 : 1;
  const width = directions * outputSizeOf(cell);
  const isPlain = isPlainCell(cell);
  const mask = isPlain || flow.lengths === undefined ? undefined : stepMask(flow, [1, 2], [0, 2]);
  let x = builder.node('Transpose', [flow.value], { perm: [1, 0, 2] });
  let level: Level | undefined;
  for (let index = 0; index < cell.numLayers; index++) {
    const own = { ...cell, inputSize: index === 0 ? cell.inputSize : width };
    level = isPlain ? writeNode(flow, leaf, own, x, index) : writeScan(flow, leaf, own, x, mask, index);
    if (index + 1 < cell.numLayers) x = level.steps();
  }
  const { steps, ends } = level as Level;
  flow.value = cell.returnSequences ? builder.node('Transpose', [steps()], { perm: [1, 0, 2] }) : ends();
  flow.areSteps = cell.returnSequences;
  flow.isMasked = true;
  return width;
}

function isPlainCell(cell: CellOptions): boolean {
  const { normalization, cellNormalization, projSize } = cell;
  const hasNorm = normalization.placement !== 'none' || (cellNormalization?.placement ?? 'none') !== 'none';
  return !hasNorm && projSize === undefined && !hasZoneout({ zoneout: cell.zoneout });
}

function writeNode({ builder, lengths }: Flow, leaf: Leaf, cell: CellOptions, x: string, level: number): Level {
  const { scope, type, state } = leaf;
  const suffixes = cell.bidirectional ? ['', '_reverse'] : [''];
  const order = ORDER[type] as readonly number[];
  const own = (name: string) => reorderBlocks(state[ofLevel(name, level)] as Tensor, order);
  const stacked = (parts: readonly Tensor[], shape: readonly number[], word: string) => {
    const [directions] = [suffixes.length];
    const { data, dtype } = concatenated(parts);
    return builder.tensor(parameterName(leaf, `${word}_l${level}`), { data, dtype, shape: [directions, ...shape] } as unknown as Tensor);
  };
  const rows = order.length * cell.hiddenSize;
  const w = stacked(
    suffixes.map((suffix) => own(`weight_ih_l0${suffix}`)),
    [rows, cell.inputSize],
    'W',
  );
  const r = stacked(
    suffixes.map((suffix) => own(`weight_hh_l0${suffix}`)),
    [rows, cell.hiddenSize],
    'R',
  );
  const biases = suffixes.flatMap((suffix) => (cell.bias ? [own(`bias_ih_l0${suffix}`), own(`bias_hh_l0${suffix}`)] : []));
  const b = cell.bias ? stacked(biases, [2 * rows], 'B') : '';
  const attributes: Record<string, AttributeValue> = {
    hidden_size: cell.hiddenSize,
    direction: cell.bidirectional ? 'bidirectional' : 'forward',
  };
  if (type === 'RNN') attributes.activations = suffixes.map(() => (cell.nonlinearity === 'relu' ? 'Relu' : 'Tanh'));
  if (type === 'GRU') attributes.linear_before_reset = cell.resetAfter ? 1 : 0;
  const name = builder.nodeName(scope, type);
  const [y, yEnd] = builder.nodes(type, [x, w, r, b, lengths ?? ''], attributes, 2, { name }) as [string, string];
  if (!cell.bidirectional) {
    return {
      steps: () => builder.node('Squeeze', [y, builder.integers([1])]),
      ends: () => builder.node('Squeeze', [yEnd, builder.integers([0])]),
    };
  }
  return {
    steps: () => builder.node('Reshape', [builder.node('Transpose', [y], { perm: [0, 2, 1, 3] }), builder.integers([0, 0, -1])]),
    ends: () => builder.node('Reshape', [builder.node('Transpose', [yEnd], { perm: [1, 0, 2] }), builder.integers([0, -1])]),
  };
}

/** What a Scan says of its cell, by which fromOnnx knows it: see scan-node. */
export interface ScanNote {
  readonly evenkeel: CellOptions;
  readonly prefix: string;
  readonly level: number;
}

function writeScan({ builder }: Flow, leaf: Leaf, cell: CellOptions, x: string, mask: string | undefined, level: number): Level {
  const { scope, state } = leaf;
  const note: ScanNote = { evenkeel: functionOf(cell), prefix: scope === '' ? '' : `${scope}.`, level };
  const name = builder.nodeName(scope, 'Scan');
  const nameOf = (parameter: string) => `${note.prefix}${ofLevel(parameter, level)}`;
  const { graph, parameters } = scanBody({
    cell: note.evenkeel,
    prefix: `${name}/`,
    element: builder.element,
    hasMask: mask !== undefined,
    nameOf,
  });
  for (const parameter of parameters) builder.tensor(nameOf(parameter), state[ofLevel(parameter, level)] as Tensor);
  const directions = cell.bidirectional ? 2 : 1;
  const states = Array.from({ length: directions }, () => statesOf(cell)).flat();
  const batch = builder.node('Slice', [builder.node('Shape', [x]), builder.integers([1]), builder.integers([2])]);
  const zeros = states.map(([, size]) => builder.zeros(builder.node('Concat', [batch, builder.integers([size])], { axis: 0 })));
  const steps = Array.from({ length: directions }, () => (mask === undefined ? [x] : [x, mask])).flat();
  const inDirections = Array.from({ length: directions }, (_, direction) =>
    mask === undefined ? [direction] : [direction, direction],
  ).flat();
  const outDirections = Array.from({ length: directions }, (_, direction) => direction);
  const attributes = {
    num_scan_inputs: steps.length,
    scan_input_directions: inDirections,
    scan_output_directions: outDirections,
    body: { graph },
  };
  const made = builder.nodes('Scan', [...zeros, ...steps], attributes, states.length + directions, {
    name,
    doc_string: JSON.stringify(note),
  });
  const ends = made.filter((_, index) => states[index]?.[0] === 'h');
  const joined = (parts: readonly string[]) => (parts.length === 1 ? (parts[0] as string) : builder.node('Concat', parts, { axis: -1 }));
  return { steps: () => joined(made.slice(states.length)), ends: () => joined(ends) };
}

/** The options that say which function a cell is, in one order. */
const FUNCTION_OPTIONS = [
  'type',
  'inputSize',
  'hiddenSize',
  'bidirectional',
  'bias',
  'nonlinearity',
  'resetAfter',
  'projSize',
  'zoneout',
  'normalization',
  'cellNormalization',
] as const satisfies readonly (keyof CellOptions)[];

function functionOf(cell: CellOptions): CellOptions {
  return Object.fromEntries(FUNCTION_OPTIONS.map((name) => [name, cell[name]])) as unknown as CellOptions;
}
