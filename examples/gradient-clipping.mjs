// Example 3: LayerNorm after the RNN, and the gradient's norm clipped at 1.
// One hundred steps of Adam on random normal data, as in the text that this project examines; one batch, shown again and again.
import { Adam, fit, Generator, LayerNorm, mseLoss, RNN, Sequential, Tensor } from 'evenkeel';

const [batch, sequenceLength, inputSize, hiddenSize] = [32, 50, 10, 20];
const generator = new Generator(1);
const model = new Sequential({ rnn: new RNN({ inputSize, hiddenSize, generator }), ln: new LayerNorm({ size: hiddenSize }) });
const data = {
  input: Tensor.randn([batch, sequenceLength, inputSize], { generator }),
  target: Tensor.randn([batch, sequenceLength, hiddenSize], { generator }),
};

const report = ({ step, loss, gradNorm, clipped }) => {
  if (step === 1 || step % 10 === 0) {
    console.log(`step ${step}: loss ${loss.toFixed(4)}, gradient norm ${gradNorm.toFixed(4)}${clipped ? ', clipped' : ''}`);
  }
};

const history = await fit(model, [data], {
  loss: mseLoss,
  optimizer: new Adam(model.parameters(), { learningRate: 1e-3 }),
  clip: { maxNorm: 1 },
  epochs: 100,
  onStep: report,
});

const largest = Math.max(...history.gradNorm);
console.log(
  `largest gradient norm ${largest.toFixed(4)}; clipped in ${history.clipped.filter(Boolean).length} of ${history.loss.length} steps`,
);
