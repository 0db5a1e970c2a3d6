import type { Node } from './node';
import { scopeOf } from './scope';
import type { Value } from './values';

/** A norm without γ and β, which the next nodes may bring. */
export function foundNorm(node: Node, x: Value, type: 'LayerNorm' | 'RMSNorm', eps: number): Value {
  const size = x.dims.at(-1) as number;
  const open = type === 'LayerNorm' ? ['weight', 'bias'] : ['weight'];
  const layer = { type, options: { size, eps, affine: false }, values: {}, scope: scopeOf(node.proto), open: new Set(open) };
  return node.trace.addRowLayer(node.proto, x, layer, size);
}
