import { Adam, AdamW, type DType, Parameter, RMSprop, SGD, Tensor } from '../../lib/index';
import { fill } from '../helpers/fill';
import { CASES, Goldens, numbered } from '../helpers/fixtures';

const goldens = new Goldens('optimizers');
const OPTIMIZERS = { SGD, Adam, AdamW, RMSprop };
const STEPS = 10;

describe.each<{ dtype: DType; within: number }>([
  { dtype: 'float64', within: 1e-12 },
  { dtype: 'float32', within: 1e-5 },
])('ten steps in $dtype', ({ dtype, within }) => {
  test.each(numbered(CASES.optimizers))('%s agree with PyTorch', (_, index, { optimizer: name, options, groups }) => {
    const parameters = [
      new Parameter('weight', fill(`${index}/weight`, [3, 5], { dtype })),
      new Parameter('bias', fill(`${index}/bias`, [67], { dtype })),
    ];
    const histories = parameters.map(({ value }) => Tensor.zeros([STEPS, ...value.shape], { dtype }));
    const grouped = parameters.map((parameter) => ({ parameters: [parameter], ...groups?.[parameter.name] }));
    const optimizer = new OPTIMIZERS[name](groups === undefined ? parameters : grouped, options as never);

    for (let step = 0; step < STEPS; step++) {
      for (const { name, grad } of parameters) grad.data.set(fill(`${index}/${step}/${name}/grad`, grad.shape).data);
      optimizer.step();
      for (const [k, { value }] of parameters.entries()) histories[k]?.data.set(value.data, step * value.size);
    }

    for (const [k, { name }] of parameters.entries()) goldens.expect(`${index}/${name}`, histories[k] as Tensor, { within });
  });
});
