/**
 * LayerNorm and RMSNorm as exporters write them where the version of the operators has none: x / √(mean(x²) + ε), and the same of x − mean(x). What stands
 * on the way is no data, but a part of a norm.
 */
import { foundNorm } from './found-norm';
import type { Node } from './node';
import { describeValue, type Value } from './values';

/** A part of a norm of `of`. */
export interface NormPart {
  readonly kind: 'mean' | 'centered' | 'square' | 'mean-square';
  readonly of: Value;
  /** whether it is of x − mean(x) */
  readonly isCentered: boolean;
  readonly eps: number;
  /** a mean square's power: 1, ½ of its root, −½ of the root's reciprocal */
  readonly power: number;
}

/** A value that is a part of a norm. */
interface PartValue extends Value {
  readonly part: NormPart;
}

const partOf = (value: Value | undefined): NormPart | undefined => (value as Partial<PartValue> | undefined)?.part;

function valueOfPart({ dims, type }: Value, part: NormPart): PartValue {
  return { dims, type, traced: true, data: new Float64Array(0), part };
}

/** Whether an operator makes a part of a norm, or a norm of parts. */
export function isNormPart(node: Node): boolean {
  const [a, b] = [node.input(0), node.optional(1)];
  if (partOf(a) !== undefined || partOf(b) !== undefined) return true;
  if (node.type === 'Pow' || node.type === 'ReduceMean') return a.traced;
  return node.type === 'Mul' && a.traced && b === a;
}

export function normNode(node: Node): Value {
  return (
    makePart(node) ?? makeNorm(node) ?? node.fail('a part of a LayerNorm or an RMSNorm', `${node.type} of ${describeValue(node.input(0))}`)
  );
}

function makePart(node: Node): Value | undefined {
  const a = node.input(0);
  const part = partOf(a);
  switch (node.type) {
    case 'ReduceMean':
      return meanOf(node, a, part);
    case 'Pow': {
      const exponent = node.constant(1).data[0] as number;
      if (exponent === 2) return squareOf(a, part);
      return part?.kind === 'mean-square' && part.power === 1 ? valueOfPart(a, { ...part, power: exponent }) : undefined;
    }
    case 'Mul':
      return node.optional(1) === a ? squareOf(a, part) : undefined;
    case 'Sub': {
      const mean = partOf(node.input(1));
      return mean?.kind === 'mean' && mean.of.data === a.data ? valueOfPart(a, { ...mean, kind: 'centered', isCentered: true }) : undefined;
    }
    case 'Add':
      return withEps(node);
    case 'Sqrt':
      return part?.kind === 'mean-square' && part.power === 1 ? valueOfPart(a, { ...part, power: 0.5 }) : undefined;
    case 'Reciprocal':
      return part?.kind === 'mean-square' && part.power === 0.5 ? valueOfPart(a, { ...part, power: -0.5 }) : undefined;
    default:
      return undefined;
  }
}

function meanOf(node: Node, value: Value, part: NormPart | undefined): Value | undefined {
  const rank = value.dims.length;
  const axes = node.axes(18)?.map((axis) => (axis < 0 ? axis + rank : axis));
  node.passOver('noop_with_empty_axes');
  if (axes?.length !== 1 || axes[0] !== rank - 1 || node.int('keepdims', 1) !== 1)
    node.fail('the mean over the last axis, which is kept', `${axes}`);
  if (part === undefined) return valueOfPart(value, { kind: 'mean', of: value, isCentered: false, eps: 0, power: 1 });
  return part.kind === 'square' ? valueOfPart(value, { ...part, kind: 'mean-square' }) : undefined;
}

function squareOf(value: Value, part: NormPart | undefined): Value | undefined {
  if (part === undefined) return valueOfPart(value, { kind: 'square', of: value, isCentered: false, eps: 0, power: 1 });
  return part.kind === 'centered' ? valueOfPart(value, { ...part, kind: 'square' }) : undefined;
}

function withEps(node: Node): Value | undefined {
  const [a, b] = [node.input(0), node.input(1)];
  const [mean, eps] = partOf(a) === undefined ? [b, a] : [a, b];
  const part = partOf(mean);
  const isRight = part?.kind === 'mean-square' && part.power === 1 && part.eps === 0 && !eps.traced && eps.data.length === 1;
  return isRight ? valueOfPart(mean, { ...part, eps: eps.data[0] as number }) : undefined;
}

/** x or x − mean(x), divided by the root, or multiplied by its reciprocal. */
function makeNorm(node: Node): Value | undefined {
  const [a, b] = [node.input(0), node.input(1)];
  const wanted = node.type === 'Div' ? 0.5 : node.type === 'Mul' ? -0.5 : undefined;
  const pairs: (readonly [Value, Value])[] =
    node.type === 'Div'
      ? [[a, b]]
      : [
          [a, b],
          [b, a],
        ];
  for (const [x, by] of pairs) {
    const root = partOf(by);
    if (wanted === undefined || root?.kind !== 'mean-square' || root.power !== wanted) continue;
    const centered = partOf(x);
    const isOfSame = root.isCentered
      ? centered?.kind === 'centered' && centered.of.data === root.of.data
      : centered === undefined && x.data === root.of.data;
    if (isOfSame) return foundNorm(node, root.of, root.isCentered ? 'LayerNorm' : 'RMSNorm', root.eps);
  }
  return undefined;
}
