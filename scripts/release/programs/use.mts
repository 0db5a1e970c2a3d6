// Example 3 in TypeScript: types of options, results and records.
import { Adam, type Batch, fit, Generator, type History, LayerNorm, mseLoss, RNN, type RNNOptions, Sequential, Tensor } from 'evenkeel';

const generator = new Generator(1);
const options: RNNOptions = { inputSize: 10, hiddenSize: 20, generator };
const model = new Sequential({ rnn: new RNN(options), ln: new LayerNorm({ size: 20 }) });
const data: Batch = { input: Tensor.randn([32, 50, 10], { generator }), target: Tensor.randn([32, 50, 20], { generator }) };
const optimizer = new Adam(model.parameters(), { learningRate: 1e-2 });
const { loss }: History = await fit(model, [data], { loss: mseLoss, optimizer, clip: { maxNorm: 1 }, epochs: 40 });
const [first = 0] = loss;
const last: number = loss.at(-1) ?? Number.NaN;
if (!(last < 0.7 * first)) throw new Error(`it does not learn: ${first} to ${last}`);
// @ts-expect-error: the types are those of evenkeel, and not any
export const wrong: RNNOptions = { inputSize: 'ten', hiddenSize: 20 };
