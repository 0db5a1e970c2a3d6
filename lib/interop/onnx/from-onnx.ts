import { closeSync, constants, fstatSync, readSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkDType, readOptions } from '../../check';
import { checkPath, fileFault, openInPlace, quote, readWhole } from '../../io/file';
import type { Layer } from '../../layers/layer';
import { checkMemory } from '../../memory';
import type { DType } from '../../tensor';
import { buildModel } from './build';
import { countReaders, type OpenSizes, readConstants, traceGraph } from './graph';
import { type GraphProto, MODEL, type ModelProto, type TensorProto } from './messages';
import type { FoundLayer } from './trace';
import { readMessage } from './wire';

/** Options of {@link fromOnnx}. */
export interface FromOnnxOptions {
  /** of the model, to which weights are converted; that of the weights unless given */
  dtype?: DType;
}

/** The versions of the operators that are understood: those before have other recurrent nodes, those after may. */
const OPSETS = { min: 7, max: 28 };
/** The limit of protocol buffers. */
const MAX_BYTES = 2 ** 31 - 1;
/** What open axes are tried with, in their order: a graph must be the same model for both. */
const PROBES = [
  [2, 3, 5, 7],
  [3, 5, 2, 4],
] as const;

/**
 * Makes a model of an ONNX file (https://onnx.ai) that is a chain of layers: RNN, GRU, LSTM, Gemm or MatMul and Add, LayerNormalization, RMSNormalization or
 * the operators of which these are made, Gather of a table, Relu, Tanh, Sigmoid, Softmax, and between them whatever moves rows about and
 * computes shapes, as PyTorch's exporters write it. Each node and each tensor is a part of the model, or an error names it.
 *
 * The model takes and gives batch first, whatever the file has. Lengths that are an input of the graph are the option of forward here, and the output
 * beyond them is 0; initial states that are inputs are the layer's `initialState`, final ones its `finalState`.
 * Weights in a file beside it (external data) are read from the same folder.
 * @returns a layer where it is a single one, else a Sequential, with the names of the modules where the file has them
 * @throws EvenkeelError ERR_FILE for a file that is not understood: the message names the node, and what it has that no layer here computes;
 *   ERR_DTYPE where weights have several dtypes and none is asked for
 */
export function fromOnnx(path: string, options: FromOnnxOptions = {}): Layer {
  const given = readOptions('fromOnnx options', options, ['dtype']);
  const dtype = given.dtype === undefined ? undefined : checkDType('dtype', given.dtype);
  const bytes = readWhole(checkPath('path', path), MAX_BYTES);
  const { graph, opset } = checkModel(path, readMessage(path, bytes, MODEL) as ModelProto);
  return buildModel(path, findLayers(path, graph, opset), dtype);
}

function checkModel(path: string, { graph, opset_import: opsets = [] }: ModelProto): { graph: GraphProto; opset: number } {
  if (graph === undefined) fileFault(path, 'a model with a graph', 'none', 'The file is damaged or not an ONNX file.');
  const opset = opsets.find(({ domain = '' }) => domain === '' || domain === 'ai.onnx')?.version ?? 0;
  if (opset < OPSETS.min || opset > OPSETS.max) {
    fileFault(path, `operators of a version from ${OPSETS.min} to ${OPSETS.max}`, `${opset}`, 'Export with another opset_version.');
  }
  return { graph, opset };
}

function findLayers(where: string, graph: GraphProto, opset: number): readonly FoundLayer[] {
  const readExternal = (label: string, tensor: TensorProto, bytes: number) => readExternalData(where, label, tensor, bytes);
  const constants = readConstants(where, graph, readExternal);
  const readers = countReaders(graph);
  const [first, second] = PROBES.map(
    (sizes) => traceGraph({ where, graph, opset, constants, readExternal, readers, sizes: openSizes(sizes) }).layers,
  );
  const shapes = [first, second].map((layers) => JSON.stringify(layers?.map(({ type, options }) => ({ type, options }))));
  if (shapes[0] !== shapes[1])
    fileFault(where, 'a graph that is one model for all numbers of sequences and steps', 'one that depends on them');
  return first as readonly FoundLayer[];
}

/** Each open axis has its own size, that of its name. */
function openSizes(sizes: readonly number[]): OpenSizes {
  const known = new Map<string, number>();
  return {
    of(name) {
      if (!known.has(name)) known.set(name, sizes[known.size % sizes.length] as number);
      return known.get(name) as number;
    },
  };
}

/** Of a file in the same folder: nothing else is opened for a file's sake. */
function readExternalData(path: string, where: string, { external_data: entries = [] }: TensorProto, needed: number): Uint8Array {
  const entry = (key: string) => entries.find((own) => own.key === key)?.value;
  const location = entry('location') ?? '';
  const isBeside = location !== '' && location === basename(location) && !['.', '..'].includes(location) && !/[\\\0]/.test(location);
  if (!isBeside) fileFault(where, 'external data in a file of the same folder', quote(location));
  const file = join(dirname(path), location);
  const descriptor = openInPlace(file, constants.O_RDONLY);
  try {
    const [offset, length] = [Number(entry('offset') ?? 0), Number(entry('length') ?? needed)];
    const { size } = fstatSync(descriptor);
    const fits = Number.isSafeInteger(offset) && offset >= 0 && length === needed && offset + length <= size;
    if (!fits)
      fileFault(where, `${needed} bytes of external data within the ${size} of ${quote(location)}`, `${length} from byte ${offset} on`);
    checkMemory(file, needed, 'Convert the file to a smaller dtype.');
    const bytes = Buffer.alloc(needed);
    for (let done = 0; done < needed; ) {
      const count = readSync(descriptor, bytes, done, Math.min(needed - done, 2 ** 30), offset + done);
      if (count === 0) fileFault(where, `${needed} bytes of external data`, `${done}`);
      done += count;
    }
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}
