import { checkNumber, readOptions } from '../check';
import { EvenkeelError } from '../errors';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import { sparseRowsOf } from '../sparse-rows';
import type { TensorData } from '../tensor';
import { type Clipper, type ClipResult, checkGradients } from './clipper';
import { euclideanNorm } from './norms';

/** Options of {@link AdaptiveGradientClipping}. */
export interface AdaptiveGradientClippingOptions {
  /** λ, the largest ‖G_i‖/‖W_i‖ to leave, above 0; 0.01 unless given */
  ratio?: number;
  /** what ‖W_i‖ counts as at least, above 0, so that weights of zero can leave it; 1e-3 unless given */
  eps?: number;
}

/**
 * Adaptive gradient clipping (Brock, De, Smith, Simonyan 2021, arXiv:2102.06171): each output unit's gradient G_i is scaled by
 * min(1, λ·max(‖W_i‖, ε)/‖G_i‖), with W_i the unit's weights. A unit is a row of a weight [out, in]; a vector, such as a bias or the
 * weight of a LayerNorm, is one unit as a whole, as in the authors' code. (They leave the network's last layer out: clip a list without its
 * parameters to do so too.)
 *
 * As one norm for the whole model the threshold is reported as √Σ(λ·max(‖W_i‖, ε))²: gradients above it are clipped, none leaves with more,
 * and a single unit may be clipped below it.
 */
export class AdaptiveGradientClipping implements Clipper {
  readonly #ratio: number;
  readonly #eps: number;

  /** @throws EvenkeelError ERR_OPTION for an option that is unknown or out of range */
  constructor(options: AdaptiveGradientClippingOptions = {}) {
    const given = readOptions('AdaptiveGradientClipping options', options, ['ratio', 'eps'], { ratio: 0.01, eps: 1e-3 });
    this.#ratio = checkNumber('ratio', given.ratio, { above: 0 });
    this.#eps = checkNumber('eps', given.eps, { above: 0 });
  }

  /**
   * Clips the gradients in place.
   * @throws EvenkeelError ERR_NON_FINITE naming the parameter whose gradient or value is not finite; the gradients are then as they were
   */
  clip(parameters: readonly Parameter[]): ClipResult {
    const { list, norm } = checkGradients('AdaptiveGradientClipping', parameters);
    const limits = list.map((parameter) => this.#limits(parameter));
    let clipped = false;
    for (const [index, { grad }] of list.entries()) {
      for (const [unit, rows] of unitsOf(grad, grad).entries()) clipped = limitNorm(rows, limits[index]?.[unit] as number) || clipped;
    }
    return { norm, threshold: euclideanNorm(Float64Array.from(limits.flat())), clipped };
  }

  /** The largest norm of each unit's gradient. */
  #limits({ name, value, grad }: Parameter): number[] {
    return unitsOf(value, grad).map((unit) => {
      const norm = euclideanNorm(unit);
      if (!Number.isFinite(norm)) {
        const reason = `the norm of "${name}" is ${norm}`;
        throw new EvenkeelError('ERR_NON_FINITE', `AdaptiveGradientClipping: ${reason}. The gradients are as they were.`);
      }
      return this.#ratio * Math.max(norm, this.#eps);
    });
  }
}

/** The parts of an array that each belong to one output unit; where the gradient is sparse, those of the rows that were written. */
function unitsOf({ data, shape, size }: Parameter['value'], grad: Parameter['grad']): TensorData[] {
  const count = shape.length < 2 ? 1 : (shape[0] as number);
  const units = sparseRowsOf(grad)?.touched ?? Array.from({ length: count }).keys();
  return Array.from(units, (unit) => data.subarray((unit * size) / count, ((unit + 1) * size) / count));
}

/** Scales values whose norm is above `limit` down to it; returns whether that changed them. */
function limitNorm(values: TensorData, limit: number): boolean {
  const norm = euclideanNorm(values);
  if (norm <= limit) return false;
  native().scale([values], limit, norm);
  return true;
}
