import { formatShape } from '../../errors';
import { fileFault, quote } from '../../io/file';
import type { Tensor } from '../../tensor';
import { PlumbingFault } from './arrays';
import type { NodeProto } from './messages';
import { countElements, describeValue, type Value } from './values';

/** A layer that the graph was found to hold. */
export interface FoundLayer {
  readonly type: 'RNN' | 'GRU' | 'LSTM' | 'Linear' | 'Embedding' | 'LayerNorm' | 'RMSNorm' | 'Activation' | 'LastStep';
  /** as the layer's constructor takes them, but for the dtype */
  readonly options: Record<string, unknown>;
  /** by the names of its state dict */
  readonly values: Record<string, Tensor>;
  /** of the module that it was in, such as `encoder.rnn`; undefined where the file does not say */
  readonly scope: string | undefined;
  /** parameters that a later node may still bring: the bias that stands in an Add behind a MatMul */
  readonly open: Set<string>;
}

/** Rows of numbers that the input or a layer gives: of all steps, or of each sequence one. */
interface Stage {
  readonly layer: FoundLayer | undefined;
  readonly rows: number;
  readonly width: number;
  /** the number of the first element */
  readonly base: number;
  /** whether the rows are those of all steps, in the order of the input's first two axes */
  readonly ofSteps: boolean;
  /** a recurrent layer's last outputs [N, D·H]: the number of their first element */
  readonly ends?: number;
}

/** Which rows a value holds, each whole and in order. */
interface Rows {
  /** by number within the stage */
  readonly rows: readonly number[];
  readonly areEnds: boolean;
}

/** How the sequences lie in the input's first two axes. */
interface Sequences {
  readonly n: number;
  readonly t: number;
  readonly sequenceOf: (row: number) => number;
  readonly stepOf: (row: number) => number;
}

const batchFirst = (n: number, t: number): Sequences => ({ n, t, sequenceOf: (row) => Math.floor(row / t), stepOf: (row) => row % t });
const timeFirst = (n: number, t: number): Sequences => ({ n, t, sequenceOf: (row) => row % n, stepOf: (row) => Math.floor(row / n) });

/** Of all values together. */
const MAX_MADE = 2 ** 27;

/**
 * The chain of layers in a graph, found by following every element from the input to the output. Stage 0 is the input; each layer reads all rows of the
 * stage before and is a stage itself. Rows may be arranged in any way in between, as exporters do around recurrent nodes.
 */
export class Trace {
  readonly where: string;
  readonly stages: Stage[] = [];
  /** what stands in for the lengths of the sequences, where the graph has such an input */
  lengths: Value | undefined;
  readsLengths = false;
  #sequences: Sequences | undefined;
  readonly #states: { from: number; to: number }[] = [];
  /** of all recurrent layers, those that others read on too */
  readonly #ends: { from: number; to: number }[] = [];
  readonly #initialStates: { next: number; end: number }[] = [];
  #inputDims: readonly number[] = [];
  #next = 0;
  #made = 0;

  constructor(where: string) {
    this.where = where;
  }

  get layers(): FoundLayer[] {
    return this.stages.flatMap(({ layer }) => (layer === undefined ? [] : [layer]));
  }

  get last(): Stage {
    return this.stages.at(-1) as Stage;
  }

  /** The graph's input: numbers [A, B, F] or [A, F], or symbols [A, B] or [A]. */
  begin(dims: readonly number[], type: number, areSymbols: boolean): Value {
    const width = areSymbols ? 1 : (dims.at(-1) as number);
    this.#inputDims = areSymbols ? dims : dims.slice(0, -1);
    return this.#trace(
      { layer: undefined, width, rows: countElements(this.where, this.#inputDims), ofSteps: this.#inputDims.length === 2 },
      dims,
      type,
    );
  }

  /** Numbers for what no layer reads on, such as the final cell state of an LSTM. */
  foreign(dims: readonly number[], type: number): Value {
    const value = this.#number(dims, type);
    this.#states.push({ from: value.data[0] as number, to: this.#next });
    return value;
  }

  /** An input that is an initial state, which is taken cell by cell. */
  beginState(dims: readonly number[], type: number): Value {
    const value = this.#number(dims, type);
    this.#initialStates.push({ next: value.data[0] as number, end: this.#next });
    return value;
  }

  /** Lengths that differ, as far as there are steps enough. */
  beginLengths(count: number, type: number): Value {
    const [a = 1, b = 1] = this.#inputDims;
    const steps = a === count ? b : a;
    this.lengths = { dims: [count], data: Float64Array.from({ length: count }, (_, i) => 1 + ((i * 2 + 1) % steps)), type, traced: false };
    return this.lengths;
  }

  /** Whether these are the next rows of an initial state that is an input: of all cells in their order. */
  takeState({ data }: Value): boolean {
    const state = this.#initialStates.find(({ next }) => next === data[0]);
    if (state === undefined || !data.every((number, i) => number === state.next + i) || state.next + data.length > state.end) return false;
    state.next += data.length;
    return true;
  }

  /** Whether all these are final states: outputs of a recurrent layer's ends, and cell states. */
  isState({ data, traced }: Value): boolean {
    const ranges = [...this.#states, ...this.#ends];
    return traced && data.length > 0 && data.every((number) => ranges.some(({ from, to }) => number >= from && number < to));
  }

  /** Adds a layer that makes each row of a value into a row [width], and gives the value of those rows in the same arrangement. */
  addRowLayer(node: NodeProto, value: Value, layer: FoundLayer, width: number): Value {
    const { rows } = this.settle(node, value);
    const stage = this.#push({ layer, width, rows: this.last.rows, ofSteps: this.last.ofSteps });
    return this.#arranged(stage, rows, [...value.dims.slice(0, -1), width], value.type);
  }

  /** The same of an embedding, whose input has no axis of numbers. */
  addEmbedding(node: NodeProto, value: Value, layer: FoundLayer, width: number, type: number): Value {
    const { rows } = this.settle(node, { ...value, dims: [...value.dims, 1] });
    const stage = this.#push({ layer, width, rows: this.last.rows, ofSteps: this.last.ofSteps });
    return this.#arranged(stage, rows, [...value.dims, width], type);
  }

  /**
   * Adds a recurrent layer, whose input is [T, N, I].
   * @param lengths as the node has them
   * @returns outputs of all steps [T, N, D·H] and of each direction's end [N, D·H], as numbers of their elements
   */
  addRecurrent(node: NodeProto, value: Value, layer: FoundLayer, width: number, lengths: Value | undefined): { steps: Value; ends: Value } {
    const [t = 0, n = 0] = value.dims;
    const { rows, areEnds } = this.rowsOf(node, value);
    if (areEnds || !this.last.ofSteps) this.fail(node, 'all steps of the sequences', 'one of each');
    const order = this.#orderOfSequences(node, rows, n, t);
    this.#checkLengths(node, lengths, order, t);
    const stage = this.#push({ layer, width, rows: this.last.rows, ofSteps: true, ends: 0 });
    this.#ends.push({ from: stage.ends as number, to: this.#next });
    const steps = this.#arranged(stage, rows, [t, n, width], value.type);
    const ends = this.#arranged({ ...stage, base: stage.ends as number }, order, [n, width], value.type);
    return { steps, ends };
  }

  /** Rows of which those that count are kept, and zeros stand in the others: what lengths do here by themselves. */
  masked(node: NodeProto, value: Value, condition: Value): Value {
    const { rows, areEnds } = this.rowsOf(node, value);
    const width = this.last.width;
    const counts = rows.map((_, i) => condition.data[i * width] !== 0);
    const isRight =
      condition.data.every((kept, i) => (kept !== 0) === counts[Math.floor(i / width)]) &&
      rows.every((row, i) => counts[i] === this.#counts(row, areEnds));
    if (!isRight) this.fail(node, 'a mask of the steps that count', 'another');
    return value;
  }

  /** Whether a row is one of a step within its sequence's length. */
  #counts(row: number, areEnds: boolean): boolean {
    const { t, sequenceOf, stepOf } = this.#order;
    return !this.last.ofSteps || areEnds || stepOf(row) < (this.lengths?.data[sequenceOf(row)] ?? t);
  }

  /** How the sequences lie; before a recurrent layer nothing tells which axis is time, and batch first counts. */
  get #order(): Sequences {
    const [n = 0, t = 0] = this.#inputDims;
    return this.#sequences ?? batchFirst(n, t);
  }

  /**
   * Checks that a value is all rows of the last stage, whatever their arrangement. A recurrent layer's last outputs, or the rows of the last step,
   * make the layer one without the others, or a LastStep behind it.
   */
  settle(node: NodeProto | undefined, value: Value): Rows {
    const found = this.rowsOf(node, value);
    const { rows, areEnds } = found;
    const { layer } = this.last;
    if (areEnds) {
      if (this.last.ofSteps) this.#narrow({ ...(layer as FoundLayer), options: { ...layer?.options, returnSequences: false } });
      this.#checkAll(node, rows, this.last.rows);
      return found;
    }
    const last = this.#lastSteps(rows);
    if (last === undefined) {
      this.#checkAll(node, rows, this.last.rows);
      return found;
    }
    this.#push({
      layer: { type: 'LastStep', options: {}, values: {}, scope: undefined, open: new Set() },
      width: this.last.width,
      rows: last.length,
      ofSteps: false,
    });
    return { rows: last, areEnds: false };
  }

  /** Which rows of the last stage a value holds. */
  rowsOf(node: NodeProto | undefined, value: Value): Rows {
    const stage = this.last;
    const { width } = stage;
    if (!value.traced || value.dims.at(-1) !== width || value.data.length === 0) {
      this.fail(node, `rows of ${width} numbers that the ${this.#nameOf(stage)} gives`, describeValue(value));
    }
    const first = value.data[0] as number;
    const areEnds = stage.ends !== undefined && first >= stage.ends;
    const [base, count] = areEnds ? [stage.ends as number, this.#sequences?.n ?? 0] : [stage.base, stage.rows];
    const rows: number[] = [];
    for (let i = 0; i < value.data.length; i += width) {
      const row = ((value.data[i] as number) - base) / width;
      const isWhole = Number.isInteger(row) && row >= 0 && row < count;
      for (let j = 1; isWhole && j < width; j++) {
        if (value.data[i + j] !== (value.data[i] as number) + j) this.fail(node, 'rows of numbers in their order', 'others');
      }
      if (!isWhole)
        this.fail(node, `rows that the ${this.#nameOf(stage)} gives`, 'others', 'Layers that branch, or are left out, are not understood.');
      rows.push(row);
    }
    return { rows, areEnds };
  }

  /** Counts what nodes make in memory: a small file could ask for any amount. */
  count(node: NodeProto, made: readonly (Value | undefined)[]): void {
    for (const value of made) this.#made += value?.data.length ?? 0;
    if (this.#made > MAX_MADE)
      this.fail(node, `at most ${MAX_MADE} elements in all values`, 'more', 'Export with variable batch and length.');
  }

  /** @throws EvenkeelError ERR_FILE */
  fail(node: NodeProto | undefined, expected: string, got: string, hint?: string): never {
    fileFault(node === undefined ? this.where : nodeLabel(this.where, node), expected, got, hint);
  }

  /** Runs `operate`, whose PlumbingFault becomes an error of the node. */
  within<T>(node: NodeProto, operate: () => T): T {
    try {
      return operate();
    } catch (fault) {
      if (fault instanceof PlumbingFault) this.fail(node, fault.expected, fault.got);
      throw fault;
    }
  }

  #trace(stage: Omit<Stage, 'base'>, dims: readonly number[], type: number): Value {
    const { base } = this.#push(stage);
    const value = this.#number(dims, type, base);
    this.#next = base + value.data.length;
    return value;
  }

  #number(dims: readonly number[], type: number, from = this.#next): Value {
    const count = countElements(this.where, dims);
    this.#checkCount(count, dims);
    const data = new Float64Array(count);
    for (let i = 0; i < count; i++) data[i] = from + i;
    this.#next = from + count;
    return { dims, data, type, traced: true };
  }

  #push(stage: Omit<Stage, 'base'>): Stage {
    const base = this.#next;
    const count = stage.rows * stage.width;
    this.#checkCount(count, [stage.rows, stage.width]);
    const made = { ...stage, base, ...(stage.ends === undefined ? {} : { ends: base + count }) };
    this.#next = base + 2 * count;
    this.stages.push(made);
    return made;
  }

  /** The last layer without its outputs of all steps. */
  #narrow(layer: FoundLayer): void {
    const { width, ends } = this.last;
    this.stages.splice(-1, 1, { layer, width, rows: this.#sequences?.n as number, base: ends as number, ofSteps: false });
  }

  #arranged({ base, width }: Stage, rows: readonly number[], dims: readonly number[], type: number): Value {
    const data = new Float64Array(rows.length * width);
    rows.forEach((row, i) => {
      for (let j = 0; j < width; j++) data[i * width + j] = base + row * width + j;
    });
    return { dims, data, type, traced: true };
  }

  /** Which sequence stands at each place of the batch, of rows [T, N]; learns how the input has its sequences. */
  #orderOfSequences(node: NodeProto, rows: readonly number[], n: number, t: number): number[] {
    const [a, b] = this.#inputDims;
    const fitting = [...(a === n && b === t ? [batchFirst(n, t)] : []), ...(a === t && b === n ? [timeFirst(n, t)] : [])];
    for (const form of this.#sequences === undefined ? fitting : [this.#sequences]) {
      const order = rows.slice(0, n).map(form.sequenceOf);
      const isRight = (row: number, i: number) => form.sequenceOf(row) === order[i % n] && form.stepOf(row) === Math.floor(i / n);
      if (new Set(order).size === n && form.n === n && form.t === t && rows.every(isRight)) {
        this.#sequences = form;
        return order;
      }
    }
    return this.fail(node, 'all steps of the sequences in their order', `rows of ${formatShape([t, n])} in another one`);
  }

  #checkLengths(node: NodeProto, lengths: Value | undefined, order: readonly number[], t: number): void {
    const given = this.lengths?.data;
    if (lengths !== undefined) {
      const isFull = !lengths.traced && lengths.data.length === order.length && lengths.data.every((length) => length === t);
      const isInput =
        given !== undefined && lengths.data.length === order.length && order.every((sequence, i) => lengths.data[i] === given[sequence]);
      if (!isFull && !isInput) this.fail(node, 'lengths that are an input of the graph', 'others');
      if (isInput) this.readsLengths = true;
    }
    const isSorted = order.some((sequence, i) => sequence !== i);
    if ((isSorted || this.readsLengths) && lengths === undefined) this.fail(node, 'the lengths of all sequences in each layer', 'none');
  }

  /** The sequences whose last steps are the rows, in their order; undefined where they are others. */
  #lastSteps(rows: readonly number[]): number[] | undefined {
    const { n, t, sequenceOf, stepOf } = this.#order;
    if (!this.last.ofSteps || rows.length !== n || t === 1) return undefined;
    const areLast = (lengthOf: (sequence: number) => number) => rows.every((row) => stepOf(row) === lengthOf(sequenceOf(row)) - 1);
    const lengths = this.lengths?.data;
    const readsLengths = lengths !== undefined && areLast((sequence) => lengths[sequence] as number);
    if (readsLengths) this.readsLengths = true;
    // With lengths the last step of all is padding of shorter sequences.
    return readsLengths || (!this.readsLengths && areLast(() => t)) ? rows.map(sequenceOf) : undefined;
  }

  #checkAll(node: NodeProto | undefined, rows: readonly number[], count: number): void {
    if (rows.length === count && new Set(rows).size === count) return;
    this.fail(node, `all ${count} rows that the ${this.#nameOf(this.last)} gives, each once`, `${rows.length} of them, or some twice`);
  }

  #checkCount(count: number, dims: readonly number[]): void {
    if (count > 2 ** 25)
      this.fail(undefined, 'fewer than 2^25 numbers between layers', formatShape(dims), 'Export with variable batch and length.');
  }

  #nameOf({ layer }: Stage): string {
    return layer === undefined ? 'input' : layer.scope ? `${layer.type} ${quote(layer.scope)}` : layer.type;
  }
}

/** How errors name a node. */
export function nodeLabel(where: string, { name, op_type: type = '' }: NodeProto): string {
  return `${where}, ${name === undefined || name === '' ? 'a node' : `node ${quote(name)}`} (${quote(type)})`;
}
