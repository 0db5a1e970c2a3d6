// Example 3 in ES modules, by fit.
import { Adam, fit, Generator, LayerNorm, mseLoss, RNN, Sequential, Tensor } from 'evenkeel';

const generator = new Generator(1);
const model = new Sequential({ rnn: new RNN({ inputSize: 10, hiddenSize: 20, generator }), ln: new LayerNorm({ size: 20 }) });
const data = { input: Tensor.randn([32, 50, 10], { generator }), target: Tensor.randn([32, 50, 20], { generator }) };
const optimizer = new Adam(model.parameters(), { learningRate: 1e-2 });
const { loss } = await fit(model, [data], { loss: mseLoss, optimizer, clip: { maxNorm: 1 }, epochs: 40 });
if (!(loss.at(-1) < 0.7 * loss[0])) throw new Error(`it does not learn: ${loss[0]} to ${loss.at(-1)}`);
