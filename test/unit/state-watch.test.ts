import {
  Adam,
  fit,
  Generator,
  LastStep,
  LayerNorm,
  Linear,
  LSTM,
  mseLoss,
  RNN,
  Sequential,
  SGD,
  Tensor,
  type TrainingWarning,
} from '../../lib/index';
import { float64, makeScalar, scalarBatch } from './fit-models';

/** h_T = w^(T−1)·x of one relu unit, T = 2, whose w the test sets: no gradient reaches it past a step of size 0. */
function makeGrowing(count = 1) {
  const options = { inputSize: 1, hiddenSize: 1, nonlinearity: 'relu', bias: false, ...float64 } as const;
  const layers = Object.fromEntries(Array.from({ length: count }, (_, index) => [`relu${index}`, new RNN(options)]));
  const model = new Sequential(layers);
  for (const { value } of model.parameters()) value.data.fill(1);
  const input = Tensor.from([[[1], [0]]], float64);
  const target = Tensor.from([[[0], [0]]], float64);
  const weights = model.parameters().filter(({ name }) => name.endsWith('weight_hh_l0'));
  const optimizer = new SGD(model.parameters(), { learningRate: 0 });
  const train = (ws: readonly number[], onWarning?: (warning: TrainingWarning) => void) => {
    let step = 0;
    const batches = ws.map(() => ({ input, target }));
    const setWeights = () => {
      for (const { value } of weights) value.data[0] = ws[step] ?? 0;
      step += 1;
    };
    setWeights();
    const loss = ({ shape }: Tensor) => ({ value: 0, grad: Tensor.zeros(shape, float64) });
    return fit(model, batches, { loss, optimizer, onStep: setWeights, ...(onWarning && { onWarning }) });
  };
  return { train };
}

describe('the states that fit looks at', () => {
  test('are in its records, and reported once when they have grown 10⁶ times', async () => {
    const seen: TrainingWarning[] = [];
    const { largestState, warnings } = await makeGrowing().train([2, 1e3, 1.9e6, 2.1e6, 4e6], (warning) => seen.push(warning));
    expect(largestState).toEqual([2, 1e3, 1.9e6, 2.1e6, 4e6]);
    expect(warnings).toEqual([
      {
        code: 'EVENKEEL_GROWING_STATES',
        step: 4,
        layer: 'relu0',
        largestState: 2.1e6,
        message: expect.stringMatching(
          /^step 4: the states of the layer "relu0" grow: .* is 2\.10e\+6, .* it was 2\.00\. .* Lower the learning rate/,
        ),
      },
    ]);
    expect(seen).toEqual(warnings);
  });

  test('that were small in the first step may become 10⁶', async () => {
    const { warnings } = await makeGrowing().train([1e-9, 1, 1e6, 1.1e6], () => {});
    expect(warnings.map(({ step }) => step)).toEqual([4]);
  });

  test('are reported where their squares leave the range, however large they were at first', async () => {
    const { warnings } = await makeGrowing().train([1e150, 1e153, 2e154], () => {});
    expect(warnings.map(({ step, message }) => [step, message.includes('are large')])).toEqual([[3, true]]);
  });

  test('are those of each layer', async () => {
    // The second layer adds its own w·1 to what comes from the first: 2 w.
    const { warnings } = await makeGrowing(2).train([0.1, 6e5, 6e6], () => {});
    expect(warnings.map(({ step, layer }) => [step, layer])).toEqual([
      [2, 'relu1'],
      [3, 'relu0'],
    ]);
  });

  test('emit a warning of the process where nobody takes it', async () => {
    const emit = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { warnings } = await makeGrowing().train([1, 1e7]);
    expect(emit.mock.calls).toEqual([[warnings[0]?.message, { type: 'EvenkeelWarning', code: 'EVENKEEL_GROWING_STATES' }]]);
    emit.mockRestore();
  });

  test('are c_T of an LSTM as well, and none in a model without recurrent layers', async () => {
    const generator = new Generator(1);
    const lstm = new LSTM({ inputSize: 1, hiddenSize: 2, returnSequences: false, generator, ...float64 });
    for (const { name, value } of lstm.parameters()) if (name.startsWith('bias')) value.data.fill(9);
    const batch = { input: Tensor.zeros([1, 50, 1], float64), target: Tensor.zeros([1, 2], float64) };
    const { largestState } = await fit(lstm, [batch], { loss: mseLoss, optimizer: new SGD(lstm.parameters(), { learningRate: 0 }) });
    expect(largestState[0]).toBe(Math.max(...lstm.finalState.c.data));
    expect(largestState[0]).toBeGreaterThan(40);
    const { model, optimizer } = makeScalar();
    expect((await fit(model, [scalarBatch(1)], { loss: mseLoss, optimizer })).largestState).toEqual([Number.NaN]);
  });

  // LayerNorm after the RNN takes the states' size out of loss and gradients.
  test('of relu units grow unseen by loss and gradient, and are reported', async () => {
    const run = async (nonlinearity: 'relu' | 'tanh') => {
      const generator = new Generator(5);
      const rnn = new RNN({ inputSize: 10, hiddenSize: 20, nonlinearity, generator, ...float64 });
      const model = new Sequential({ rnn, ln: new LayerNorm({ size: 20, ...float64 }) });
      const [input, target] = [10, 20].map((size) => Tensor.randn([32, 300, size], { generator, ...float64 })) as [Tensor, Tensor];
      const optimizer = new Adam(model.parameters(), { learningRate: 0.02 });
      return fit(model, [{ input, target }], { loss: mseLoss, optimizer, epochs: 14, onWarning: () => {} });
    };
    const { warnings, largestState, loss, gradNorm } = await run('relu');
    expect(warnings.map(({ layer }) => layer)).toEqual(['rnn']);
    expect(Math.max(...largestState)).toBeGreaterThan(1e6 * (largestState[0] as number));
    expect(Math.max(...loss)).toBeLessThan(1.01 * (loss[0] as number));
    expect(Math.max(...gradNorm)).toBeLessThan(1);
    expect((await run('tanh')).warnings).toEqual([]);
  });

  test('with one head for the last step', async () => {
    const generator = new Generator(1);
    const rnn = new RNN({ inputSize: 1, hiddenSize: 3, generator });
    const model = new Sequential({ rnn, last: new LastStep(), head: new Linear({ inputSize: 3, outputSize: 1, generator }) });
    const batch = { input: Tensor.randn([2, 5, 1], { generator }), target: Tensor.zeros([2, 1]) };
    const { largestState } = await fit(model, [batch], { loss: mseLoss, optimizer: new SGD(model.parameters(), { learningRate: 0 }) });
    expect(largestState).toEqual([Math.max(...rnn.finalState.data.map(Math.abs))]);
  });
});
