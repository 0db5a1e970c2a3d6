import { logDiagonal, orthonormalize, orthonormalizeBackward } from './qr';

/** The decompositions V_t = Q_t R_t of k tangents at each of T steps, kept on the way forward, and the way back through them. Tangents are rows [k, S]. */
export class Decompositions {
  readonly #k: number;
  readonly #size: number;
  readonly #steps: number;
  /** Q_0 … Q_T [T + 1, k, S], R_1 … R_T [T, k, k] */
  readonly #q: Float64Array;
  readonly #r: Float64Array;

  /** @param directions Q_0 [k, S] */
  constructor(directions: Float64Array, size: number, steps: number) {
    const k = directions.length / size;
    [this.#k, this.#size, this.#steps] = [k, size, steps];
    this.#q = new Float64Array((steps + 1) * k * size);
    this.#q.set(directions);
    this.#r = new Float64Array(steps * k * k);
  }

  /** Q_t [k, S] */
  q(t: number): Float64Array {
    const length = this.#k * this.#size;
    return this.#q.subarray(t * length, (t + 1) * length);
  }

  /**
   * @param advance writes V_t of each step, in their order, where Q_t then stands
   * @returns ln R_t(i, i) [T, k]
   */
  forward(advance: (t: number) => void): Float64Array {
    const k = this.#k;
    const logGrowths = new Float64Array(this.#steps * k);
    for (let t = 1; t <= this.#steps; t++) {
      advance(t);
      orthonormalize(this.q(t), this.#rOf(t), k, this.#size);
      logDiagonal(this.#rOf(t), k, logGrowths, (t - 1) * k);
    }
    return logGrowths;
  }

  /**
   * @param gradLogDiagonal [k]: ∂L/∂ ln R_t(i, i) of every step after the first `burnIn`
   * @param stepBack from the last step on, both in place: ∂L/∂V_t [k, S] becomes ∂L/∂Q_{t−1}, ∂L/∂s_t [S] becomes ∂L/∂s_{t−1}
   */
  backward(
    gradLogDiagonal: Float64Array,
    burnIn: number,
    stepBack: (t: number, gradTangents: Float64Array, gradState: Float64Array) => void,
  ): void {
    const [k, size] = [this.#k, this.#size];
    const none = new Float64Array(k);
    const gradTangents = new Float64Array(k * size);
    const gradState = new Float64Array(size);
    for (let t = this.#steps; t > 0; t--) {
      orthonormalizeBackward(this.q(t), this.#rOf(t), gradTangents, t > burnIn ? gradLogDiagonal : none, k, size);
      stepBack(t, gradTangents, gradState);
    }
  }

  #rOf(t: number): Float64Array {
    const length = this.#k ** 2;
    return this.#r.subarray((t - 1) * length, t * length);
  }
}
