import { crossEntropyLoss, mseLoss } from '../../lib/index';
import { bits, fill } from '../helpers/fill';
import { CASES, Goldens, numbered, PRECISIONS } from '../helpers/fixtures';

const goldens = new Goldens('losses');

describe.each(PRECISIONS)('in $dtype', ({ dtype, within }) => {
  test.each(numbered(CASES.mse))('mseLoss %s agrees with PyTorch', (_, index, { shape }) => {
    const prefix = `mse/${index}`;
    const { value, grad } = mseLoss(fill(`${prefix}/output`, shape, { dtype }), fill(`${prefix}/target`, shape, { dtype }));
    goldens.expect(`${prefix}/value`, value, { within });
    goldens.expect(`${prefix}/grad`, grad, { within });
  });

  test.each(numbered(CASES.crossEntropy))('crossEntropyLoss %s agrees with PyTorch', (_, index, { shape, offset }) => {
    const prefix = `crossEntropy/${index}`;
    const [rows, classes] = shape;
    const labels = Int32Array.from(bits(`${prefix}/labels`, rows), (word) => word % classes);
    const { value, grad } = crossEntropyLoss(fill(`${prefix}/logits`, shape, { offset, scale: 4, dtype }), labels);
    goldens.expect(`${prefix}/value`, value, { within });
    goldens.expect(`${prefix}/grad`, grad, { within });
  });
});
