import type { Tensor } from '../../tensor';
import type { LayerKind } from '../layer-kinds';
import type { GraphBuilder } from './graph-builder';
import { ELEMENT } from './messages';

/** What goes from layer to layer. */
export interface Flow {
  readonly builder: GraphBuilder;
  /** [N, T, F], or of one row for each sequence [N, F] */
  value: string;
  areSteps: boolean;
  /** int32 [N], and whether the value is 0 beyond them already */
  readonly lengths: string | undefined;
  isMasked: boolean;
}

/** A layer with what its writer needs. */
export interface Leaf {
  readonly scope: string;
  readonly type: LayerKind;
  readonly options: Readonly<Record<string, unknown>>;
  readonly state: Readonly<Record<string, Tensor>>;
}

/** A parameter's name in the file: that of the state dict. */
export function parameterName({ scope }: Leaf, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}

/**
 * Whether each step counts, of a value [N, T, ·].
 * @param stepAxes where axes of size 1 stand around the steps, and around the lengths: [0, 2] and [1, 2] for [N, T, 1]
 */
export function stepMask({ builder, value, lengths }: Flow, stepAxes: readonly number[], lengthAxes: readonly number[]): string {
  const time = builder.node('Gather', [builder.node('Shape', [value]), builder.integers([1], [])], { axis: 0 });
  const steps = builder.node('Range', [builder.integers([0], []), time, builder.integers([1], [])]);
  const length = builder.node('Cast', [lengths as string], { to: ELEMENT.int64 });
  return builder.node('Less', [
    builder.node('Unsqueeze', [steps, builder.integers(stepAxes)]),
    builder.node('Unsqueeze', [length, builder.integers(lengthAxes)]),
  ]);
}
