import { checkRowCount, checkSize, fail, readOptions, readSafely } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { availableMemory } from '../memory';
import type { Parameter } from '../parameter';
import { elementCount, Tensor } from '../tensor';
import { formatTable } from '../text-table';

/** What a layer makes of an input, and what a training step takes. */
export interface LayerCost {
  readonly outputShape: readonly number[];
  /** multiplications and additions of the matrix products; nothing that is done element by element */
  readonly flop: { readonly forward: number; readonly backward: number; readonly inputGradient: number };
  /** what is kept from forward to backward beside input and output */
  readonly keptBytes: number;
  /** of a recurrent layer: the steps of its segments with `checkpointing: 'auto'`, and with those that keep least */
  readonly segments?: {
    readonly steps: number;
    readonly auto: number;
    readonly least: number;
    readonly leastBytes: number;
    readonly isAuto: boolean;
  };
}

/** Options of summary. */
export interface SummaryOptions {
  /** N: sequences of a batch */
  batch: number;
  /** T: steps of each */
  steps: number;
  /** I; needed where the first layer takes any width, and else what it says */
  inputSize?: number;
}

/** A layer in a {@link Summary}. */
export interface SummaryRow {
  /** its name in the model; `''` for a model that is one layer */
  readonly name: string;
  /** its class */
  readonly type: string;
  readonly outputShape: readonly number[];
  /** how many numbers are trained */
  readonly parameters: number;
  /** of a training step: multiplications and additions of its matrix products, forward and backward */
  readonly flop: number;
  /** of a training step: its output, and what it keeps for backward, without checkpointing */
  readonly bytes: number;
}

/**
 * A model's layers and what a training step of it costs. As a text, which `String(summary)` and a template give, it is a table.
 * @example
 * const model = new Sequential({ lstm: new LSTM({ inputSize: 8, hiddenSize: 32 }), head: new Linear({ inputSize: 32, outputSize: 1 }) });
 * console.log(`${model.summary({ batch: 16, steps: 100 })}`);
 */
export interface Summary {
  readonly layers: readonly SummaryRow[];
  readonly parameters: number;
  readonly flop: number;
  /** outputs and what is kept for backward, and each parameter with its gradient; an optimiser's own arrays come on top */
  readonly bytes: number;
  /** what checkpointing would spare, in sentences; empty where there is nothing to spare */
  readonly advice: readonly string[];
  /** The table, and the advice below it. */
  toString(): string;
}

/** What a summary asks of a layer. */
interface Asked {
  forward(input: Tensor, options?: { training?: boolean }): Tensor;
  predict?(input: Tensor): Tensor;
  parameters(): Parameter[];
  costOf?(shape: readonly number[]): LayerCost;
  /** of the input for so many sequences and steps; undefined for any */
  inputShape?(batch: number, steps: number): readonly number[] | undefined;
  /** of a Sequential */
  readonly layers?: Readonly<Record<string, Asked>>;
}

/**
 * What the layers of a model make of a batch.
 * @throws EvenkeelError ERR_OPTION, ERR_SHAPE for more rows than forward takes, and where a layer takes others than those that come
 */
export function summarize(model: Asked, options: SummaryOptions): Summary {
  const given = readOptions('summary options', options, ['batch', 'steps', 'inputSize']);
  const batch = checkSize('batch', given.batch);
  const steps = checkSize('steps', given.steps);
  checkRowCount('batch · steps', batch * steps);
  const width = given.inputSize === undefined ? undefined : checkSize('inputSize', given.inputSize);
  const leaves = leavesOf('', model);
  const wanted = leaves.map(([, layer]) => layer.inputShape?.(batch, steps));
  checkWidth(leaves, wanted, width);
  let shape = wanted[0] ?? [batch, steps, width as number];
  const layers: SummaryRow[] = [];
  const advice: string[] = [];
  for (const [index, [name, layer]] of leaves.entries()) {
    checkRows(name, wanted[index], shape);
    const cost: LayerCost = layer.costOf?.(shape) ?? unknownCost(name, layer, shape);
    const { forward, backward, inputGradient } = cost.flop;
    const parameters = readSafely(`layers.${name}`, () => layer.parameters());
    const bytesEach = parameters[0]?.value.dtype === 'float64' ? 8 : 4;
    layers.push({
      name,
      type: readSafely(`layers.${name}`, () => layer.constructor.name),
      outputShape: cost.outputShape,
      parameters: parameters.reduce((sum, { value }) => sum + value.size, 0),
      flop: forward + backward + (index === 0 ? 0 : inputGradient),
      bytes: elementCount(cost.outputShape) * bytesEach + cost.keptBytes,
    });
    advice.push(...adviceOn(name, cost));
    shape = cost.outputShape;
  }
  return new TextSummary(layers, parameterBytes(model), advice);
}

class TextSummary implements Summary {
  readonly parameters: number;
  readonly flop: number;
  readonly bytes: number;

  constructor(
    readonly layers: readonly SummaryRow[],
    ofParameters: number,
    readonly advice: readonly string[],
  ) {
    const sum = (of: 'parameters' | 'flop' | 'bytes') => layers.reduce((all, row) => all + row[of], 0);
    this.parameters = sum('parameters');
    this.flop = sum('flop');
    this.bytes = sum('bytes') + ofParameters;
  }

  toString(): string {
    const rows = this.layers.map(({ name, type, outputShape, parameters, flop, bytes }) => [
      name === '' ? type : `${name} (${type})`,
      formatShape(outputShape),
      count(parameters),
      megaFlop(flop),
      mebibytes(bytes),
    ]);
    const header = ['layer', 'output', 'parameters', 'MFLOP a step', 'MiB a step'];
    const total = ['all, with gradients', '', count(this.parameters), megaFlop(this.flop), mebibytes(this.bytes)];
    return [formatTable([header, ...rows, total]), ...this.advice].join('\n\n');
  }
}

function leavesOf(name: string, layer: Asked): (readonly [string, Asked])[] {
  if (layer.costOf !== undefined || layer.layers === undefined) return [[name, layer]];
  return Object.entries(layer.layers).flatMap(([own, child]) => leavesOf(name === '' ? own : `${name}.${own}`, child));
}

/** Symbols have no width. */
const widthOf = (shape: readonly number[] | undefined) => (shape?.length === 3 ? shape[2] : undefined);

/** Layers before the first that says its width hand on what comes, as far as they are known. */
function checkWidth(
  leaves: readonly (readonly [string, Asked])[],
  wanted: readonly (readonly number[] | undefined)[],
  width: number | undefined,
): void {
  if (width === undefined) {
    if (wanted[0] === undefined) fail('ERR_OPTION', 'inputSize', 'a number, since the first layer takes any width', width);
    return;
  }
  const index = leaves.findIndex(([, layer], at) => wanted[at] !== undefined || layer.costOf === undefined);
  const known = widthOf(wanted[index]);
  if (known !== undefined && known !== width) fail('ERR_OPTION', 'inputSize', `${known}, which ${nameOf(leaves[index]?.[0])} takes`, width);
}

function checkRows(name: string, wanted: readonly number[] | undefined, shape: readonly number[]): void {
  const width = widthOf(wanted);
  if (width === undefined || width === shape.at(-1)) return;
  throw new EvenkeelError('ERR_SHAPE', `${nameOf(name)}: expected an input ${formatShape(['...', width])}, got ${formatShape(shape)}.`);
}

const nameOf = (name = '') => (name === '' ? 'the layer' : `layer ${name}`);

/** Of a layer of the user's own, which can but be tried. */
function unknownCost(name: string, layer: Asked, shape: readonly number[]): LayerCost {
  const dtype = readSafely(`layers.${name}`, () => layer.parameters()[0]?.value.dtype) ?? 'float32';
  const input = Tensor.zeros(shape, { dtype });
  const output = layer.predict === undefined ? layer.forward(input, { training: false }) : layer.predict(input);
  return pointwiseCost(output.shape);
}

/** Each value with its gradient. */
function parameterBytes(model: Asked): number {
  return 2 * model.parameters().reduce((sum, { value }) => sum + value.data.byteLength, 0);
}

/** Of a layer whose products, if it has any, hide behind its memory's bandwidth. */
export function pointwiseCost(outputShape: readonly number[]): LayerCost {
  return { outputShape, flop: { forward: 0, backward: 0, inputGradient: 0 }, keptBytes: 0 };
}

/** Below this nobody needs to spare anything. */
const WORTH_SPARING = 64 * 1024 * 1024;

function adviceOn(name: string, { keptBytes, segments }: LayerCost): string[] {
  if (segments === undefined || keptBytes < WORTH_SPARING || segments.least >= segments.steps) return [];
  const { steps, auto, least, leastBytes, isAuto } = segments;
  const where = name === '' ? 'The layer' : `Layer ${name}`;
  const share = `${mebibytes(keptBytes)} MiB for backward, of ${mebibytes(availableMemory())} available`;
  const spared = `checkpointing: { every: ${least} } would keep ${mebibytes(leastBytes)} MiB, for about a third more time`;
  if (!isAuto) return [`${where} would keep ${share} with checkpointing: 'none'; ${spared}.`];
  if (auto < steps)
    return [`${where} would keep ${share}: checkpointing: 'auto' takes segments of ${auto} steps here, for about a third more time.`];
  return [`${where} keeps ${share}; ${spared}.`];
}

const count = (value: number) => value.toLocaleString('en-US');
const megaFlop = (value: number) => (value / 1e6).toLocaleString('en-US', { maximumFractionDigits: 1 });
const mebibytes = (bytes: number) => (bytes / 2 ** 20).toLocaleString('en-US', { maximumFractionDigits: 1 });
