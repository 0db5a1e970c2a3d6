import { LayerNorm, type Tensor } from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { fill } from '../helpers/fill';
import { CASES, Goldens, numbered } from '../helpers/fixtures';

const goldens = new Goldens('offset-rows');

/** Largest and root-mean-square difference, in double. */
function errors(actual: Tensor, exact: Tensor): { largest: number; rms: number } {
  const differences = Array.from(actual.data, (value, i) => Math.abs(value - (exact.data[i] ?? Number.NaN)));
  return {
    largest: Math.max(...differences),
    rms: Math.sqrt(differences.reduce((sum, value) => sum + value ** 2, 0) / differences.length),
  };
}

function run(index: number, dtype: 'float32' | 'float64'): { output: Tensor; dx: Tensor } {
  const { shape, offset } = CASES.offsetRows[index] ?? { shape: [0, 0], offset: 0 };
  const layer = new LayerNorm({ size: shape[1] ?? 0, dtype });
  layer.loadStateDict({
    weight: fill(`${index}/weight`, shape.slice(1), { offset: 1, scale: 0.5, dtype }),
    bias: fill(`${index}/bias`, shape.slice(1), { dtype }),
  });
  const output = layer.forward(fill(`${index}/x`, shape, { offset, dtype }));
  return { output, dx: layer.backward(fill(`${index}/dy`, shape, { dtype })) };
}

describe.each(numbered(CASES.offsetRows))('LayerNorm of rows far from zero, %s', (_, index) => {
  test.each(['output', 'dx'] as const)("float32 is no worse than PyTorch's float32: %s", (what) => {
    const exact = goldens.get(`${index}/float64/${what}`);
    const actual = run(index, 'float32')[what];
    const ours = errors(actual, exact);
    const theirs = errors(goldens.get(`${index}/float32/${what}`), exact);
    expect(theirs.rms).toBeGreaterThan(0);
    expect(ours.largest).toBeLessThanOrEqual(theirs.largest);
    expect(ours.rms).toBeLessThanOrEqual(theirs.rms);
    // And as good as without the offset, which PyTorch's is not by far.
    expectClose(actual, exact, { within: 1e-5 });
  });

  test.each(['output', 'dx'] as const)("float64 agrees with PyTorch's: %s", (what) => {
    // At an offset of 1e6 the subtraction of the mean itself costs six digits.
    expectClose(run(index, 'float64')[what], goldens.get(`${index}/float64/${what}`), { within: 1e-9 });
  });
});
