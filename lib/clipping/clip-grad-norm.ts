import { checkOneOf, fail, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { checkParameters, checkParametersAttached, type Parameter } from '../parameter';
import { scaleGradients } from './clipper';
import { describeNonFinite, gradNorms } from './norms';

/** Options of {@link clipGradNorm}. */
export interface ClipGradNormOptions {
  /** the largest norm to leave, at least 0; Infinity measures the norm and leaves the gradients as they are */
  maxNorm: number;
  /** 2 unless given */
  normType?: 1 | 2 | typeof Infinity;
  /**
   * What to do when the norm is NaN or infinite.
   * `'throw'` (the default) an ERR_NON_FINITE that names the parameter; `'skip'`: leave the gradients as they are and return the norm, for
   * the caller to skip the step; `'propagate'`: scale all the same, as PyTorch does, so that NaN spreads to all gradients.
   */
  nonFinite?: 'throw' | 'skip' | 'propagate';
}

/**
 * Scales all gradients by min(1, maxNorm/(‖g‖ + 1e-6)), with ‖g‖ the norm of all of them taken as one vector
 * (Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063), as torch.nn.utils.clip_grad_norm_.
 * @returns the norm before clipping, accumulated in double
 * @throws EvenkeelError ERR_NON_FINITE (see `nonFinite`), ERR_OPTION; the gradients are then as they were
 *
 * @example
 * const model = new GRU({ inputSize: 4, hiddenSize: 16 });
 * model.backward(model.forward(Tensor.randn([8, 30, 4])));
 * const norm = clipGradNorm(model.parameters(), { maxNorm: 1 }); // before clipping
 */
export function clipGradNorm(parameters: readonly Parameter[], options: ClipGradNormOptions): number {
  const given = readOptions('clipGradNorm options', options, ['maxNorm', 'normType', 'nonFinite'], { normType: 2, nonFinite: 'throw' });
  const maxNorm = checkMaxNorm('maxNorm', given.maxNorm);
  const nonFinite = checkOneOf('nonFinite', given.nonFinite, ['throw', 'skip', 'propagate']);
  const list = checkParameters('parameters', parameters);
  checkParametersAttached(list);
  const norms = gradNorms(list, given.normType as number);
  if (!Number.isFinite(norms.total) && nonFinite !== 'propagate') {
    if (nonFinite === 'throw')
      throw new EvenkeelError('ERR_NON_FINITE', `clipGradNorm: ${describeNonFinite(list, norms)}. The gradients are as they were.`);
    return norms.total;
  }
  scaleToNorm(list, norms.total, maxNorm);
  return norms.total;
}

/** Checks for a limit of a norm. */
export function checkMaxNorm(argument: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0)) fail('ERR_OPTION', argument, 'a number of at least 0, or Infinity', value);
  return value;
}

/** Scales gradients whose norm is `total`; returns whether that changed them. */
export function scaleToNorm(parameters: readonly Parameter[], total: number, maxNorm: number): boolean {
  if (maxNorm === Infinity || maxNorm / (total + 1e-6) >= 1) return false;
  scaleGradients(parameters, maxNorm, total + 1e-6);
  return true;
}
