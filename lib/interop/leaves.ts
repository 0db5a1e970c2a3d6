import { checkLayer, type Layer } from '../layers/layer';
import { Sequential } from '../layers/sequential';
import type { NamedLayer } from './chain';

/** The layers of a model in their order, with dotted names; `''` of one that stands alone. */
export function leavesOf(argument: string, model: Layer): NamedLayer[] {
  const visit = (name: string, layer: Layer): NamedLayer[] =>
    layer instanceof Sequential
      ? Object.entries(layer.layers).flatMap(([child, inner]) => visit(name === '' ? child : `${name}.${child}`, inner))
      : [[name, layer]];
  return visit('', checkLayer(argument, model));
}
