import { checkBoolean, checkDType, fail, readOptions } from '../../check';
import { writeFileAtomic } from '../../io/atomic-file';
import { checkPath } from '../../io/file';
import type { Layer } from '../../layers/layer';
import type { DType, Tensor } from '../../tensor';
import { version } from '../../version';
import { transposed } from '../arrange';
import type { NamedLayer } from '../chain';
import { kindOf, type LayerKind } from '../layer-kinds';
import { leavesOf } from '../leaves';
import { type Flow, type Leaf, parameterName, stepMask } from './flow';
import { GraphBuilder } from './graph-builder';
import { ELEMENT, type GraphProto, MODEL } from './messages';
import { writeNorm } from './norm-writer';
import { writeRecurrent } from './recurrent-writer';
import { writeMessage } from './wire';

/** Options of {@link toOnnx}. */
export interface ToOnnxOptions {
  /** whether the graph has an input `lengths` [N], as the option of forward; false unless given */
  lengths?: boolean;
  /** of weights and data in the file; the model's unless given. ONNX Runtime's recurrent nodes compute float32 alone. */
  dtype?: DType;
}

/** Of the operators that are written: the first with LayerNormalization. */
const OPSET = 17;
const IR_VERSION = 8;
/** The limit of protocol buffers. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * Writes a model as an ONNX file that computes what `predict` does, for any number of sequences and steps: input `input` [N, T, F], or symbols as int64
 * [N, T]; on request `lengths`, int32 [N]; output `output`. RNN, GRU and LSTM are ONNX' own, in layout 0, those with a normalisation, projection or
 * zoneout a Scan over their steps. A model without a layer that goes through time takes [N, F].
 *
 * {@link fromOnnx} makes the same model of it; dropout, which is in training alone, is left out.
 * @throws EvenkeelError ERR_OPTION for a class of your own, and for a stateful layer, whose state a file has not; ERR_FILE as {@link saveState}
 *
 * @example
 * const model = new Sequential({ rnn: new LSTM({ inputSize: 3, hiddenSize: 8 }), last: new LastStep(), head: new Linear({ inputSize: 8, outputSize: 1 }) });
 * toOnnx(model, 'model.onnx', { lengths: true });
 */
export function toOnnx(model: Layer, path: string, options: ToOnnxOptions = {}): void {
  const given = readOptions('toOnnx options', options, ['lengths', 'dtype'], { lengths: false });
  const hasLengths = checkBoolean('lengths', given.lengths);
  const dtype = given.dtype === undefined ? undefined : checkDType('dtype', given.dtype);
  const leaves = leavesOf('model', model);
  checkPath('path', path);
  const graph = writeGraph(leaves, hasLengths, dtype);
  const message = {
    ir_version: IR_VERSION,
    producer_name: 'evenkeel',
    producer_version: version,
    graph,
    opset_import: [{ domain: '', version: OPSET }],
  };
  const pieces = writeMessage(message, MODEL);
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (bytes > MAX_BYTES) fail('ERR_OPTION', 'model', `a file of at most ${MAX_BYTES} bytes`, bytes);
  writeFileAtomic(path, pieces);
}

function writeGraph(named: readonly NamedLayer[], hasLengths: boolean, wanted: DType | undefined): GraphProto {
  const leaves = named.map(
    ([scope, layer]): Leaf => ({ scope, ...kindOf(scope === '' ? 'model' : `model.${scope}`, layer), state: layer.stateDict() }),
  );
  const own = leaves.flatMap(({ state }) => Object.values(state))[0]?.dtype ?? 'float32';
  const builder = new GraphBuilder('', (wanted ?? own) === 'float64' ? ELEMENT.double : ELEMENT.float);
  const first = leaves.find(({ type }) => widthOf(type) !== undefined);
  if (first === undefined) fail('ERR_OPTION', 'model', 'a layer that says how many numbers it takes', leaves[0]?.type);
  const areSymbols = first.type === 'Embedding';
  const areSteps = areSymbols || leaves.some(({ type }) => RECURRENT.includes(type) || type === 'LastStep');
  if (hasLengths && !areSteps) fail('ERR_OPTION', 'lengths', 'false for a model without a layer that goes through time', hasLengths);
  const dims = [
    ...(areSteps ? ['batch', 'time'] : ['batch']),
    ...(areSymbols ? [] : [first.options[widthOf(first.type) as string] as number]),
  ];
  const inputs = [builder.info('input', dims, areSymbols ? ELEMENT.int64 : undefined)];
  if (hasLengths) inputs.push(builder.info('lengths', ['batch'], ELEMENT.int32));
  const flow: Flow = { builder, value: 'input', areSteps, lengths: hasLengths ? 'lengths' : undefined, isMasked: false };
  let width: number | undefined;
  for (const leaf of leaves) width = writeLeaf(flow, leaf) ?? width;
  if (flow.areSteps && flow.lengths !== undefined && !flow.isMasked) flow.value = maskSteps(flow);
  builder.node('Identity', [flow.value], {}, { name: 'output' });
  const graph = builder.finish('evenkeel', inputs, [
    builder.info('output', [...(flow.areSteps ? ['batch', 'time'] : ['batch']), width as number]),
  ]);
  const last = graph.node?.at(-1);
  if (last !== undefined) last.output = ['output'];
  return graph;
}

const RECURRENT: readonly LayerKind[] = ['RNN', 'GRU', 'LSTM'];

/** The option that says how many numbers a layer takes. */
function widthOf(type: LayerKind): string | undefined {
  const widths: Partial<Record<LayerKind, string>> = {
    Linear: 'inputSize',
    LayerNorm: 'size',
    RMSNorm: 'size',
    Embedding: 'vocabularySize',
  };
  return RECURRENT.includes(type) ? 'inputSize' : widths[type];
}

/** @returns how many numbers its rows have; undefined where as many as before */
function writeLeaf(flow: Flow, leaf: Leaf): number | undefined {
  const { builder } = flow;
  const { type, options, scope, state } = leaf;
  const parameter = (name: string): string | undefined =>
    state[name] === undefined ? undefined : builder.tensor(parameterName(leaf, name), state[name]);
  switch (type) {
    case 'RNN':
    case 'GRU':
    case 'LSTM':
      return writeRecurrent(flow, leaf);
    case 'LastStep':
      flow.value = lastStep(flow);
      flow.areSteps = false;
      return undefined;
    case 'Dropout':
      return undefined;
    case 'Embedding':
      flow.value = builder.node('Gather', [parameter('weight') as string, flow.value], {}, { name: builder.nodeName(scope, 'Gather') });
      break;
    case 'Linear':
      flow.value = linear(flow, leaf, parameter);
      break;
    case 'Activation': {
      const operator = { relu: 'Relu', tanh: 'Tanh', sigmoid: 'Sigmoid', softmax: 'Softmax' }[options.kind as 'relu'];
      flow.value = builder.node(operator, [flow.value], options.kind === 'softmax' ? { axis: -1 } : {}, {
        name: builder.nodeName(scope, operator),
      });
      break;
    }
    default: {
      const norm = {
        kind: type === 'LayerNorm' ? 'layer' : 'rms',
        eps: options.eps as number,
        weight: parameter('weight'),
        bias: parameter('bias'),
      } as const;
      flow.value = writeNorm(builder, flow.value, norm);
    }
  }
  flow.isMasked = false;
  return type === 'Linear'
    ? (options.outputSize as number)
    : type === 'Embedding'
      ? (options.embeddingSize as number)
      : type === 'Activation'
        ? undefined
        : (options.size as number);
}

function linear({ builder, value }: Flow, leaf: Leaf, parameter: (name: string) => string | undefined): string {
  const { scope, state } = leaf;
  const weight = builder.tensor(parameterName(leaf, 'weight'), transposed(state.weight as Tensor));
  const product = builder.node('MatMul', [value, weight], {}, { name: builder.nodeName(scope, 'MatMul') });
  const bias = parameter('bias');
  return bias === undefined ? product : builder.node('Add', [product, bias], {}, { name: builder.nodeName(scope, 'Add') });
}

/** The last step that counts [N, F]; zeros of a sequence of length 0. */
function lastStep({ builder, value, lengths }: Flow): string {
  if (lengths === undefined) return builder.node('Gather', [value, builder.integers([-1], [])], { axis: 1 });
  const length = builder.node('Cast', [lengths], { to: ELEMENT.int64 });
  const index = builder.node('Max', [builder.node('Sub', [length, builder.integers([1], [])]), builder.integers([0], [])]);
  const last = builder.node('GatherND', [value, builder.node('Unsqueeze', [index, builder.integers([1])])], { batch_dims: 1 });
  const isThere = builder.node('Unsqueeze', [builder.node('Greater', [length, builder.integers([0], [])]), builder.integers([1])]);
  return builder.node('Where', [isThere, last, builder.number(0)]);
}

/** 0 beyond each sequence's length. */
function maskSteps(flow: Flow): string {
  const { builder, value } = flow;
  return builder.node('Where', [stepMask(flow, [0, 2], [1, 2]), value, builder.number(0)]);
}
