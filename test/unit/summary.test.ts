import {
  Activation,
  Dropout,
  Embedding,
  Generator,
  GRU,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  LSTM,
  RNN,
  Sequential,
  Tensor,
  Workspace,
} from '../../lib/index';
import { productFlop, stepFlop } from '../../lib/layers/recurrent/cost';
import { reusableBytes } from '../../lib/workspace';
import { expectRefused } from '../helpers/errors';
import { Scale } from '../model/layers';

const generator = new Generator(1);

describe('a summary', () => {
  test('has each layer’s shape, parameters and products', () => {
    const model = new Sequential({
      words: new Embedding({ vocabularySize: 10, embeddingSize: 4, generator }),
      body: new Sequential([new LSTM({ inputSize: 4, hiddenSize: 6, numLayers: 2, bidirectional: true, generator }), new Dropout()]),
      last: new LastStep(),
      norm: new LayerNorm({ size: 12 }),
      own: new Scale({ size: 12, factor: 2 }),
      head: new Linear({ inputSize: 12, outputSize: 3, generator }),
    });
    const summary = model.summary({ batch: 5, steps: 7 });
    expect(summary.layers.map(({ name, type, outputShape }) => [name, type, outputShape])).toEqual([
      ['words', 'Embedding', [5, 7, 4]],
      ['body.0', 'LSTM', [5, 7, 12]],
      ['body.1', 'Dropout', [5, 7, 12]],
      ['last', 'LastStep', [5, 12]],
      ['norm', 'LayerNorm', [5, 12]],
      ['own', 'Scale', [5, 12]],
      ['head', 'Linear', [5, 3]],
    ]);
    expect(summary.parameters).toBe(model.parameters().reduce((sum, { value }) => sum + value.size, 0));
    const rows = 5 * 7;
    const ofLayer = (inputSize: number) => {
      const { forward, backward, inputGradient } = stepFlop({ gates: 4, inputSize, hiddenSize: 6 });
      return 2 * rows * (forward + backward + inputGradient);
    };
    expect(summary.layers[1]?.flop).toBe(ofLayer(4) + ofLayer(12));
    expect(summary.layers[6]?.flop).toBe(3 * 2 * 5 * 12 * 3);
    expect(summary.flop).toBe(ofLayer(4) + ofLayer(12) + 3 * 2 * 5 * 12 * 3);
    expect(summary.advice).toEqual([]);
  });

  test('counts products as the benchmark’s formula does', () => {
    for (const [gates, inputSize, hiddenSize] of [
      [1, 3, 5],
      [4, 7, 2],
    ] as const) {
      const weights = [
        { elements: gates * hiddenSize * inputSize, ofInput: true },
        { elements: gates * hiddenSize ** 2, ofInput: false },
      ];
      expect(productFlop(weights)).toEqual(stepFlop({ gates, inputSize, hiddenSize }));
    }
  });

  test('of one layer needs the gradient of no input', () => {
    const { flop, layers } = new RNN({ inputSize: 3, hiddenSize: 5 }).summary({ batch: 2, steps: 4 });
    const { forward, backward } = stepFlop({ gates: 1, inputSize: 3, hiddenSize: 5 });
    expect(flop).toBe(8 * (forward + backward));
    expect(layers[0]?.name).toBe('');
  });

  test.each([
    ['an RNN', () => new RNN({ inputSize: 8, hiddenSize: 100, generator })],
    ['an LSTM', () => new LSTM({ inputSize: 8, hiddenSize: 100, cellNormalization: 'output', generator })],
    ['a stack of GRUs', () => new GRU({ inputSize: 8, hiddenSize: 70, numLayers: 2, bidirectional: true, generator })],
    [
      'a stack that gives its last step',
      () => new LSTM({ inputSize: 8, hiddenSize: 100, numLayers: 2, returnSequences: false, generator }),
    ],
  ])('says what forward of %s allocates', (_, make) => {
    const layer = make();
    const input = Tensor.randn([16, 200, 8], { generator });
    const bytes = layer.summary({ batch: 16, steps: 200 }).layers[0]?.bytes as number;
    const workspace = new Workspace();
    workspace.run(() => layer.forward(input));
    // What one run takes, the next one has.
    const taken = workspace.run(reusableBytes);
    expect(taken / bytes).toBeGreaterThan(0.98);
    expect(taken / bytes).toBeLessThan(1.02);
  });

  test('advises segments where much is kept', () => {
    const layer = new LSTM({ inputSize: 8, hiddenSize: 512, checkpointing: 'none', generator });
    const { advice } = layer.summary({ batch: 32, steps: 2000 });
    expect(advice).toHaveLength(1);
    const [, kept, every, least] = /would keep ([\d,.]+) MiB .*every: (\d+) \} would keep ([\d,.]+) MiB/.exec(advice[0] as string) ?? [];
    const number = (text = '') => Number(text.replaceAll(',', ''));
    expect(number(least)).toBeLessThan(number(kept) / 4);
    expect(Number(every)).toBeLessThan(2000);
    expect(new LSTM({ inputSize: 8, hiddenSize: 16 }).summary({ batch: 1, steps: 10 }).advice).toEqual([]);
  });

  test('is a table', () => {
    const model = new Sequential({ rnn: new RNN({ inputSize: 3, hiddenSize: 64 }), head: new Linear({ inputSize: 64, outputSize: 2 }) });
    expect(String(model.summary({ batch: 32, steps: 100 }))).toMatchInlineSnapshot(`
"layer                       output  parameters  MFLOP a step  MiB a step
rnn (RNN)            [32, 100, 64]       4,416          81.1         0.8
head (Linear)         [32, 100, 2]         130           2.5           0
all, with gradients                      4,546          83.6         0.8"
`);
  });

  test('asks for the width that no layer says', () => {
    const model = new Sequential([new Dropout(), new LastStep()]);
    expect(() => model.summary({ batch: 1, steps: 2 })).toThrow('inputSize: expected a number, since the first layer takes any width');
    expect(model.summary({ batch: 1, steps: 2, inputSize: 3 }).layers.at(-1)?.outputShape).toEqual([1, 3]);
    expect(() => model.summary({ batch: 0, steps: 2 })).toThrow('batch: expected an integer from 1 to 2147483647, got 0.');
    expect(() => model.summary({ batch: 1, step: 2 } as never)).toThrow('Did you mean "steps"?');
  });

  test('refuses what forward would: another width than a layer takes, more rows than BLAS counts', () => {
    const head = new Linear({ inputSize: 3, outputSize: 2, generator });
    const model = new Sequential({ act: new Activation({ kind: 'relu' }), last: new LastStep(), head });
    expect(model.summary({ batch: 2, steps: 4, inputSize: 3 }).layers.at(-1)?.outputShape).toEqual([2, 2]);
    expectRefused(
      () => model.summary({ batch: 2, steps: 4, inputSize: 99 }),
      'ERR_OPTION',
      'inputSize: expected 3, which layer head takes, got 99.',
    );
    const rnn = new RNN({ inputSize: 3, hiddenSize: 5, generator });
    expectRefused(
      () => rnn.summary({ batch: 2, steps: 4, inputSize: 4 }),
      'ERR_OPTION',
      'inputSize: expected 3, which the layer takes, got 4.',
    );
    const chain = new Sequential({ rnn, head: new Linear({ inputSize: 4, outputSize: 2, generator }) });
    expectRefused(() => chain.summary({ batch: 2, steps: 4 }), 'ERR_SHAPE', 'layer head: expected an input [..., 4], got [2, 4, 5].');
    for (const layer of [rnn, new LSTM({ inputSize: 3, hiddenSize: 5, generator }), chain]) {
      expectRefused(
        () => layer.summary({ batch: 2 ** 31, steps: 1 }),
        'ERR_OPTION',
        'batch: expected an integer from 1 to 2147483647, got 2147483648.',
      );
      expectRefused(
        () => layer.summary({ batch: 2 ** 20, steps: 2 ** 11 }),
        'ERR_SHAPE',
        'batch · steps: expected at most 2147483647 rows in all',
      );
    }
  });

  test('goes by what a layer of one’s own gives, whatever its input’s width', () => {
    const twice: Layer = {
      forward: (input) => Tensor.zeros([...input.shape.slice(0, -1), 2 * (input.shape.at(-1) as number)]),
      backward: () => undefined as never,
      parameters: () => [],
      stateDict: () => ({}),
      loadStateDict: () => undefined,
    };
    const model = new Sequential({ twice, head: new Linear({ inputSize: 6, outputSize: 1, generator }) });
    expect(model.summary({ batch: 2, steps: 4, inputSize: 3 }).layers.at(-1)?.outputShape).toEqual([2, 4, 1]);
    expectRefused(
      () => model.summary({ batch: 2, steps: 4, inputSize: 4 }),
      'ERR_SHAPE',
      'layer head: expected an input [..., 6], got [2, 4, 8].',
    );
  });
});
