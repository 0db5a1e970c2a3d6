import { crossEntropyLoss, LastStep, LayerNorm, Linear, mseLoss, RNN, Sequential, type Tensor } from '../../lib/index';
import { fill } from '../helpers/fill';
import { checkGradients } from '../helpers/gradient-check';

const dtype = 'float64';
const [n, t, inputSize, hiddenSize, outputSize] = [3, 6, 4, 5, 3];

test.each<[string, (output: Tensor) => { value: number; grad: Tensor }]>([
  ['mseLoss', (output) => mseLoss(output, fill('target', [n, outputSize]))],
  ['crossEntropyLoss', (output) => crossEntropyLoss(output, Int32Array.of(2, 0, 1))],
])('RNN, LayerNorm, LastStep and Linear under %s: central differences of every parameter and of the input', (_, loss) => {
  const model = new Sequential({
    rnn: new RNN({ inputSize, hiddenSize, dtype }),
    ln: new LayerNorm({ size: hiddenSize, dtype }),
    last: new LastStep(),
    head: new Linear({ inputSize: hiddenSize, outputSize, dtype }),
  });
  model.loadStateDict(
    Object.fromEntries(
      Object.entries(model.stateDict()).map(([name, { shape }]) => [
        name,
        fill(name, shape, { offset: name === 'ln.weight' ? 1 : 0, scale: 0.5 }),
      ]),
    ),
  );
  const x = fill('x', [n, t, inputSize]);
  const gradInput = model.backward(loss(model.forward(x)).grad);

  const parameters = Object.fromEntries(model.parameters().map((parameter) => [parameter.name, parameter]));
  expect(Object.keys(parameters)).toEqual(Object.keys(model.stateDict()));
  checkGradients(() => loss(model.forward(x)).value, { ...parameters, x: { value: x, grad: gradInput } });
});
