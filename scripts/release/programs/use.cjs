// Example 3 in CommonJS, the loop by hand.
const { Adam, clipGradNorm, Generator, LayerNorm, mseLoss, RNN, Sequential, Tensor } = require('evenkeel');

const generator = new Generator(1);
const model = new Sequential([new RNN({ inputSize: 10, hiddenSize: 20, generator }), new LayerNorm({ size: 20 })]);
const optimizer = new Adam(model.parameters(), { learningRate: 1e-2 });
const input = Tensor.randn([32, 50, 10], { generator });
const target = Tensor.randn([32, 50, 20], { generator });
const losses = [];
for (let step = 0; step < 40; step++) {
  optimizer.zeroGrad();
  const { value, grad } = mseLoss(model.forward(input), target);
  model.backward(grad);
  clipGradNorm(model.parameters(), { maxNorm: 1 });
  optimizer.step();
  losses.push(value);
}
if (!(losses.at(-1) < 0.7 * losses[0])) throw new Error(`it does not learn: ${losses[0]} to ${losses.at(-1)}`);
