import { clipGradNorm, clipGradValue, type DType, Parameter } from '../../lib/index';
import { fill } from '../helpers/fill';
import { CASES, Goldens, numbered, PRECISIONS } from '../helpers/fixtures';

const goldens = new Goldens('clipping');

describe.each(PRECISIONS)('in $dtype', ({ dtype, within }) => {
  test.each(numbered(CASES.clipNorm))('clipGradNorm %s agrees with PyTorch', (_, index, { maxNorm, normType }) => {
    const parameters = parametersWithGradients(`norm/${index}`, dtype);
    const norm = clipGradNorm(parameters, { maxNorm, normType: normType === 'inf' ? Number.POSITIVE_INFINITY : normType });
    goldens.expect(`norm/${index}/norm`, norm, { within });
    for (const { name, grad } of parameters) goldens.expect(`norm/${index}/${name}`, grad, { within });
  });

  test.each(numbered(CASES.clipValue))('clipGradValue %s agrees with PyTorch', (_, index, { clipValue }) => {
    const parameters = parametersWithGradients(`value/${index}`, dtype);
    clipGradValue(parameters, { clipValue });
    for (const { name, grad } of parameters) goldens.expect(`value/${index}/${name}`, grad, { within });
  });
});

function parametersWithGradients(prefix: string, dtype: DType): Parameter[] {
  return Object.entries({ weight: [3, 5], bias: [67] }).map(
    ([name, shape]) => new Parameter(name, fill(`${prefix}/${name}`, shape, { dtype }), fill(`${prefix}/${name}/grad`, shape, { dtype })),
  );
}
