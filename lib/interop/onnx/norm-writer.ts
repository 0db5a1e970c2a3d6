import type { GraphBuilder } from './graph-builder';

/** γ and β of a norm by their names; β undefined of an RMSNorm, and of a LayerNorm without. */
export interface NormNames {
  readonly kind: 'layer' | 'rms';
  readonly eps: number;
  readonly weight: string | undefined;
  readonly bias: string | undefined;
}

/** Rows normalised over the last axis. An RMSNorm is written as what it is made of: the operator is newer than the version that is written. */
export function writeNorm(builder: GraphBuilder, x: string, { kind, eps, weight, bias }: NormNames): string {
  if (kind === 'layer' && weight !== undefined) {
    return builder.node('LayerNormalization', [x, weight, bias ?? ''], { axis: -1, epsilon: { f: eps } });
  }
  let rows = x;
  if (kind === 'layer') rows = builder.node('Sub', [x, builder.node('ReduceMean', [x], { axes: [-1], keepdims: 1 })]);
  const square = builder.node('ReduceMean', [builder.node('Mul', [rows, rows])], { axes: [-1], keepdims: 1 });
  const root = builder.node('Sqrt', [builder.node('Add', [square, builder.number(eps)])]);
  const normal = builder.node('Div', [rows, root]);
  return weight === undefined ? normal : builder.node('Mul', [normal, weight]);
}
