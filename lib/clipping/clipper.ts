import { EvenkeelError } from '../errors';
import { native } from '../native/load';
import { checkParameters, checkParametersAttached, type Parameter } from '../parameter';
import { withWrittenParts } from '../sparse-rows';
import type { StateDict } from '../state-dict';
import { describeNonFinite, gradNorms } from './norms';

/** A clipping rule with settings, and perhaps a memory, of its own. */
export interface Clipper {
  /** Clips the gradients in place. */
  clip(parameters: readonly Parameter[]): ClipResult;
  /** What it remembers, as copies that a checkpoint holds; left out by a rule without a memory. */
  stateDict?(): StateDict;
  /** Takes over what {@link stateDict} gave; nothing is changed when it throws. */
  loadStateDict?(state: StateDict): void;
  /**
   * What takes back all that it has been told since, for a step that is refused after all. Left out where {@link stateDict} is small enough to
   * be kept at each step.
   */
  mark?(): () => void;
}

/** What a clipping rule saw and did. */
export interface ClipResult {
  /** the 2-norm of all gradients before clipping */
  norm: number;
  /** the norm above which the rule acts; what it means in detail, each rule says */
  threshold: number;
  /** whether the gradients were changed */
  clipped: boolean;
}

/**
 * Checks the parameters that a clipper is given, and returns them with their gradients' 2-norm.
 * @throws EvenkeelError ERR_NON_FINITE naming the parameter whose gradient is not finite
 */
export function checkGradients(where: string, parameters: unknown): { list: readonly Parameter[]; norm: number } {
  const list = checkParameters('parameters', parameters);
  checkParametersAttached(list);
  const norms = gradNorms(list);
  if (!Number.isFinite(norms.total)) {
    throw new EvenkeelError('ERR_NON_FINITE', `${where}: ${describeNonFinite(list, norms)}. The gradients are as they were.`);
  }
  return { list, norm: norms.total };
}

/** Multiplies all gradients by target / norm, also where that is too small a number for their type. */
export function scaleGradients(parameters: readonly Parameter[], target: number, norm: number): void {
  withWrittenParts(
    parameters.map(({ grad }) => grad),
    (arrays) => native().scale(arrays, target, norm),
  );
}
