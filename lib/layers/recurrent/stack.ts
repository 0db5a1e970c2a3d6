import { fail } from '../../check';

/** Where a cell stands among the layers and directions of a recurrent layer. */
export interface Place {
  readonly layer: number;
  readonly isReverse: boolean;
  /** as PyTorch's names end: l0, l0_reverse, l1, … */
  readonly suffix: string;
  /** of what reaches it */
  readonly inputSize: number;
}

interface StackOptions {
  readonly inputSize: number;
  readonly numLayers: number;
  readonly bidirectional: boolean;
  readonly stateful: boolean;
}

/**
 * All places in PyTorch's order, layer by layer, forward before reverse.
 * @param outputSize P
 * @throws EvenkeelError ERR_OPTION for options that exclude each other
 */
export function placesOf({ inputSize, numLayers, bidirectional, stateful }: StackOptions, outputSize: number): Place[] {
  if (stateful && bidirectional) {
    fail(
      'ERR_OPTION',
      'stateful',
      'false where bidirectional is true',
      stateful,
      'A reverse direction begins at the end, of which a stream has none.',
    );
  }
  const directions = bidirectional ? [false, true] : [false];
  return Array.from({ length: numLayers }, (_, layer) =>
    directions.map((isReverse) => ({
      layer,
      isReverse,
      suffix: `l${layer}${isReverse ? '_reverse' : ''}`,
      inputSize: layer === 0 ? inputSize : directions.length * outputSize,
    })),
  ).flat();
}
