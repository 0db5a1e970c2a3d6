/**
 * Cells that ONNX has no operator for (normalisations within the step, projections, zoneout) as the body of a Scan: one step of all directions of a
 * layer. fromOnnx knows such a Scan by writing it again.
 */
import type { Placement } from '../../layers/recurrent/normalization';
import { GraphBuilder } from './graph-builder';
import { ELEMENT, type GraphProto } from './messages';
import { writeNorm } from './norm-writer';

interface NormOptions {
  readonly placement: string;
  readonly kind: 'layer' | 'rms';
  readonly eps: number;
  readonly scope?: 'joint' | 'gate';
}

/** What a cell computes: the options of a single layer. */
export interface CellOptions {
  readonly type: 'RNN' | 'GRU' | 'LSTM';
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly bidirectional: boolean;
  readonly bias: boolean;
  readonly nonlinearity?: 'tanh' | 'relu';
  readonly resetAfter?: boolean;
  readonly projSize?: number;
  readonly zoneout: number | { readonly hidden: number; readonly cell: number };
  readonly normalization: NormOptions & { readonly placement: Placement };
  readonly cellNormalization?: NormOptions;
}

export interface ScanOptions {
  readonly cell: CellOptions;
  /** before all names within */
  readonly prefix: string;
  /** of the element type */
  readonly element: number;
  /** whether a mask of the steps that count is a further input of the scan */
  readonly hasMask: boolean;
  /** a parameter's name outside, by that in the state dict of a single layer */
  readonly nameOf: (parameter: string) => string;
}

/** P: what is put out at each step. */
export const outputSizeOf = ({ hiddenSize, projSize }: CellOptions): number => projSize ?? hiddenSize;

/** The parts of a direction's state, with their sizes. */
export function statesOf(cell: CellOptions): [name: string, size: number][] {
  const h: [string, number] = ['h', outputSizeOf(cell)];
  return cell.type === 'LSTM' ? [h, ['c', cell.hiddenSize]] : [h];
}

type States = Record<string, string>;

/** @returns the body, and the parameters that it reads */
export function scanBody(options: ScanOptions): { graph: GraphProto; parameters: ReadonlySet<string> } {
  const { cell, prefix, element, hasMask } = options;
  const builder = new GraphBuilder(`${prefix}body/`, element);
  const directions = cell.bidirectional ? ['', '_reverse'] : [''];
  const states = directions.flatMap((suffix) =>
    statesOf(cell).map(([name, size]) => builder.info(`${prefix}${name}_in${suffix}`, ['batch', size])),
  );
  const steps = directions.flatMap((suffix) => [
    builder.info(`${prefix}x${suffix}`, ['batch', cell.inputSize]),
    ...(hasMask ? [builder.info(`${prefix}mask${suffix}`, ['batch', 1], ELEMENT.bool)] : []),
  ]);
  const parameters = new Set<string>();
  const finals: string[] = [];
  const outputs: string[] = [];
  for (const suffix of directions) {
    const before = Object.fromEntries(statesOf(cell).map(([name]) => [name, `${prefix}${name}_in${suffix}`]));
    const step = new CellWriter(builder, cell, suffix, (name) => {
      parameters.add(name);
      return options.nameOf(name);
    });
    const after = step.write(`${prefix}x${suffix}`, before);
    const mask = hasMask ? `${prefix}mask${suffix}` : undefined;
    finals.push(...statesOf(cell).map(([name]) => choose(builder, mask, after[name] as string, before[name] as string)));
    outputs.push(
      mask === undefined
        ? builder.node('Identity', [after.h as string])
        : builder.node('Where', [mask, after.h as string, builder.number(0)]),
    );
  }
  const sizes = directions.flatMap(() => statesOf(cell).map(([, size]) => size));
  const outputInfo = [
    ...finals.map((name, index) => builder.info(name, ['batch', sizes[index] as number])),
    ...outputs.map((name) => builder.info(name, ['batch', outputSizeOf(cell)])),
  ];
  return { graph: builder.finish(`${prefix}step`, [...states, ...steps], outputInfo), parameters };
}

/** What counts, or where a step does not the state before. */
function choose(builder: GraphBuilder, mask: string | undefined, after: string, before: string): string {
  return mask === undefined ? builder.node('Identity', [after]) : builder.node('Where', [mask, after, before]);
}

/** One step of one direction: the equations of cells in their classes' docstrings. */
class CellWriter {
  readonly #builder: GraphBuilder;
  readonly #cell: CellOptions;
  readonly #suffix: string;
  readonly #parameter: (name: string) => string;

  constructor(builder: GraphBuilder, cell: CellOptions, suffix: string, parameter: (name: string) => string) {
    this.#builder = builder;
    this.#cell = cell;
    this.#suffix = suffix;
    this.#parameter = parameter;
  }

  write(x: string, before: States): States {
    const { type, zoneout } = this.#cell;
    const after =
      type === 'LSTM' ? this.#lstm(x, before) : { h: type === 'GRU' ? this.#gru(x, before.h as string) : this.#rnn(x, before.h as string) };
    const kept = typeof zoneout === 'number' ? { h: zoneout, c: 0 } : { h: zoneout.hidden, c: zoneout.cell };
    return Object.fromEntries(
      Object.entries(after).map(([name, value]) => [name, this.#mean(before[name] as string, value, kept[name as 'h' | 'c'])]),
    );
  }

  #rnn(x: string, h: string): string {
    const [a] = this.#gates(x, h, 1);
    return this.#hidden(this.#op(this.#cell.nonlinearity === 'relu' ? 'Relu' : 'Tanh', a as string));
  }

  #lstm(x: string, before: States): States {
    const { cellNormalization: norm, projSize } = this.#cell;
    const [i, f, g, o] = this.#gates(x, before.h as string, 4) as [string, string, string, string];
    const fresh = this.#op('Mul', this.#op('Sigmoid', i), this.#op('Tanh', g));
    const c = this.#op('Add', this.#op('Mul', this.#op('Sigmoid', f), before.c as string), fresh);
    const normal = norm === undefined || norm.placement === 'none' ? c : this.#norm(this.#site('norm_cell'), c, norm);
    let h = this.#op('Mul', this.#op('Sigmoid', o), this.#op('Tanh', normal));
    if (projSize !== undefined) h = this.#product(h, `weight_hr_l0${this.#suffix}`);
    return { h: this.#hidden(h), c: norm?.placement === 'carried' ? normal : c };
  }

  /** Pre-activations of gates that are sums of both sides. */
  #gates(x: string, h: string, count: number): string[] {
    const { placement } = this.#cell.normalization;
    let xSide = this.#product(x, `weight_ih_l0${this.#suffix}`);
    let hSide = this.#product(this.#operand(h), `weight_hh_l0${this.#suffix}`);
    if (placement === 'split-preactivation') {
      xSide = this.#normGates('norm_ih', xSide, [count]);
      hSide = this.#normGates('norm_hh', hSide, [count]);
    }
    const sum = this.#addBias(this.#addBias(this.#op('Add', xSide, hSide), 'bias_ih'), 'bias_hh');
    return this.#split(placement === 'preactivation' ? this.#normGates('norm', sum, [count]) : sum, Array(count).fill(1));
  }

  #gru(x: string, h: string): string {
    const { resetAfter, normalization } = this.#cell;
    const isSplit = normalization.placement === 'split-preactivation';
    const isJoint = normalization.placement === 'preactivation';
    const operand = this.#operand(h);
    const weight = this.#parameter(`weight_hh_l0${this.#suffix}`);
    let xSide = this.#product(x, `weight_ih_l0${this.#suffix}`);
    if (isSplit) xSide = this.#normGates('norm_ih', xSide, [3]);
    const [xGates, xNew] = this.#split(this.#addBias(xSide, 'bias_ih'), [2, 1]) as [string, string];
    const [weightGates, weightNew] = this.#split(weight, [2, 1], 0) as [string, string];
    let hSide = this.#op('Gemm', operand, resetAfter ? weight : weightGates);
    if (isSplit) hSide = this.#normGates('norm_hh', hSide, resetAfter ? [3] : [2]);
    const [biasGates, biasNew] = this.#cell.bias ? this.#split(this.#parameter(`bias_hh_l0${this.#suffix}`), [2, 1], 0) : [];
    const add = (value: string, bias: string | undefined) => (bias === undefined ? value : this.#op('Add', value, bias));
    const [hGates, hAfter] = resetAfter ? this.#split(hSide, [2, 1]) : [hSide];
    const sum = add(this.#op('Add', xGates, hGates as string), biasGates);
    const [r, z] = this.#split(this.#op('Sigmoid', isJoint ? this.#normGates('norm', sum, [2]) : sum), [1, 1]) as [string, string];
    let candidate: string;
    if (resetAfter) {
      let [xn, hn] = [xNew, add(hAfter as string, biasNew)];
      if (isJoint) [xn, hn] = [this.#normGates('norm', xn, [1], 2), this.#normGates('norm', hn, [1], 3)];
      candidate = this.#op('Add', xn, this.#op('Mul', r, hn));
    } else {
      let hn = this.#op('Gemm', this.#op('Mul', r, operand), weightNew);
      if (isSplit) hn = this.#normGates('norm_hh', hn, [1], 2);
      candidate = this.#op('Add', xNew, add(hn, biasNew));
      if (isJoint) candidate = this.#normGates('norm', candidate, [1], 2);
    }
    const n = this.#op('Tanh', candidate);
    return this.#hidden(this.#op('Add', n, this.#op('Mul', z, this.#op('Sub', h, n))));
  }

  #operand(h: string): string {
    const { normalization } = this.#cell;
    return normalization.placement === 'recurrent-input' ? this.#norm(this.#site('norm'), h, normalization) : h;
  }

  #hidden(h: string): string {
    const { normalization } = this.#cell;
    return normalization.placement === 'hidden' ? this.#norm(this.#site('norm'), h, normalization) : h;
  }

  /** @param groups how many gates share statistics @param first the gate with which the norm's parameters begin here */
  #normGates(site: string, a: string, groups: readonly number[], first = 0): string {
    const { normalization } = this.#cell;
    const gates = groups.reduce((sum, count) => sum + count, 0);
    const own = normalization.scope === 'gate' ? Array<number>(gates).fill(1) : groups;
    const parts = own.length === 1 ? [a] : this.#split(a, own);
    let begin = first;
    const normal = parts.map((part, index) => {
      const end = begin + (own[index] as number);
      const made = this.#norm(this.#site(site), part, normalization, [begin, end]);
      begin = end;
      return made;
    });
    return normal.length === 1 ? (normal[0] as string) : this.#builder.node('Concat', normal, { axis: -1 });
  }

  /** @param gates the rows of the parameters that count, in gates; all unless given */
  #norm(site: string, a: string, { kind, eps }: NormOptions, gates?: readonly [number, number]): string {
    const hasBias = kind === 'layer' && !site.startsWith('norm_ih') && !site.startsWith('norm_hh');
    const rows = (name: string): string => {
      const outer = this.#parameter(`${site}.${name}`);
      if (gates === undefined) return outer;
      const [begin, end] = gates.map((gate) => this.#builder.integers([gate * this.#cell.hiddenSize])) as [string, string];
      return this.#builder.node('Slice', [outer, begin, end]);
    };
    return writeNorm(this.#builder, a, { kind, eps, weight: rows('weight'), bias: hasBias ? rows('bias') : undefined });
  }

  #site(name: string): string {
    return this.#suffix === '' ? name : `${name}_l0${this.#suffix}`;
  }

  #product(a: string, weight: string): string {
    return this.#op('Gemm', a, this.#parameter(weight));
  }

  #addBias(a: string, name: string): string {
    return this.#cell.bias ? this.#op('Add', a, this.#parameter(`${name}_l0${this.#suffix}`)) : a;
  }

  /** Parts of so many gates each. */
  #split(a: string, gates: readonly number[], axis = -1): string[] {
    if (gates.length === 1) return [a];
    const sizes = this.#builder.integers(gates.map((count) => count * this.#cell.hiddenSize));
    return this.#builder.nodes('Split', [a, sizes], { axis }, gates.length);
  }

  #mean(before: string, after: string, kept: number): string {
    if (kept === 0) return after;
    const share = (value: string, p: number) => this.#op('Mul', value, this.#builder.number(p));
    return this.#op('Add', share(before, kept), share(after, 1 - kept));
  }

  #op(type: string, ...inputs: readonly string[]): string {
    return this.#builder.node(type, inputs, type === 'Gemm' ? { transB: 1 } : {});
  }
}
