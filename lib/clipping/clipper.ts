import type { Parameter } from '../parameter';

/** A clipping rule with a memory of its own. */
export interface Clipper {
  /** Clips the gradients in place. */
  clip(parameters: readonly Parameter[]): ClipResult;
}

/** What a clipping rule saw and did. */
export interface ClipResult {
  /** the gradients' norm before clipping */
  norm: number;
  threshold: number;
  /** whether the gradients were changed */
  clipped: boolean;
}
