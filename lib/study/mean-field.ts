/**
 * The growth rate of a gradient by mean-field theory: ½ ln χ, of an RNN with many units and random weights. docs/stability.md derives it.
 *
 * Of many units, those of a step's pre-activations are normally distributed; one number, their variance, says all. χ is the factor by which
 * a step back in time multiplies the squared norm of the gradient.
 */
import type { Nonlinearity } from '../layers/rnn';
import type { DepthPlacement } from './placements';

/** What mean-field theory has to know of a design. */
export interface MeanFieldDesign {
  placement: DepthPlacement;
  nonlinearity: Nonlinearity;
  hiddenSize: number;
  inputSize: number;
  /** standard deviation of the input's entries, which are independent with mean 0 */
  inputScale: number;
  /** H times the variance of an entry of W_hh: gain² of an orthogonal matrix, 1/3 of PyTorch's uniform one */
  recurrentVariance: number;
}

/** LayerNorm's, unless it is told otherwise. */
const EPS = 1e-5;

/**
 * ½ ln χ of weights W_ih and biases uniform in ±1/√H, as PyTorch starts them, and independent W_hh.
 * @returns growth of ln‖∂L/∂h_t‖ per step backwards, for H → ∞ at this variance of the pre-activations
 */
export function meanFieldRate(design: MeanFieldDesign): number {
  const { placement, nonlinearity, hiddenSize, inputSize, inputScale, recurrentVariance: w } = design;
  const { meanSquare, slope, variance } = averages[nonlinearity];
  // A LayerNorm over the input makes its entries' mean square 1, but for ε.
  const entry = placement === 'input' ? inputScale ** 2 / (inputScale ** 2 + EPS) : inputScale ** 2;
  const input = (inputSize * entry) / (3 * hiddenSize);
  const bias = 2 / (3 * hiddenSize);
  switch (placement) {
    case 'none':
    case 'input':
    case 'output':
      return 0.5 * Math.log(w * slope(fixedPoint((q) => w * meanSquare(q) + input + bias)));
    case 'preactivation': {
      const before = w * meanSquare(1) + input + bias;
      return 0.5 * Math.log((w * slope(1)) / (before + EPS));
    }
    case 'split-preactivation': {
      const own = input / (input + EPS);
      const q = own + 1 + bias;
      return 0.5 * Math.log((w * slope(q)) / (w * meanSquare(q) + EPS));
    }
    case 'recurrent-input':
    case 'hidden': {
      const q = w + input + bias;
      return 0.5 * Math.log((w * slope(q)) / (variance(q) + EPS));
    }
  }
}

/** Where a variance that goes from step to step stays. Of a relu whose states grow without bound it is infinite, of which the slope is the same. */
function fixedPoint(next: (q: number) => number): number {
  let q = 1;
  for (let i = 0; i < 10_000; i++) {
    const after = next(q);
    if (!(after < 1e300)) return after;
    if (Math.abs(after - q) <= 1e-14 * q) return after;
    q = after;
  }
  return q;
}

/** Of φ(z) with z normal of mean 0 and variance q: E[φ²], E[φ'²], Var[φ]. */
interface Averages {
  meanSquare(q: number): number;
  slope(q: number): number;
  variance(q: number): number;
}

const averages: Record<Nonlinearity, Averages> = {
  tanh: {
    meanSquare: (q) => normalMean((z) => Math.tanh(Math.sqrt(q) * z) ** 2),
    slope: (q) => normalMean((z) => (1 - Math.tanh(Math.sqrt(q) * z) ** 2) ** 2),
    variance: (q) => normalMean((z) => Math.tanh(Math.sqrt(q) * z) ** 2),
  },
  relu: { meanSquare: (q) => q / 2, slope: () => 0.5, variance: (q) => (q * (1 - 1 / Math.PI)) / 2 },
};

/** E[f(z)] of a standard normal z, by the trapezoidal rule, which is exact to rounding for what is smooth and has vanished at the ends. */
function normalMean(f: (z: number) => number): number {
  const [end, intervals] = [9, 360];
  const width = (2 * end) / intervals;
  let sum = 0;
  for (let i = 0; i <= intervals; i++) {
    const z = i * width - end;
    sum += Math.exp(-0.5 * z * z) * f(z);
  }
  return (sum * width) / Math.sqrt(2 * Math.PI);
}
