// Every method in every state: what comes too early, too late, twice, or after its memory is gone is an error and never a wrong number.
import {
  Activation,
  Adam,
  clipGradNorm,
  Generator,
  LastStep,
  type Layer,
  LayerNorm,
  Linear,
  LSTM,
  Parameter,
  RMSNorm,
  RNN,
  Sequential,
  Tensor,
  Workspace,
} from '../../lib/index';
import { detach, expectRefused } from '../helpers/errors';

const float64 = { dtype: 'float64' } as const;
const tensor = (shape: readonly number[], seed: number) => Tensor.randn(shape, { ...float64, generator: new Generator(seed) });
const generator = () => new Generator(11);
const makeRNN = () => new RNN({ inputSize: 4, hiddenSize: 4, generator: generator(), ...float64 });

const layers: [string, () => Layer, number[]][] = [
  ['RNN', makeRNN, [2, 3, 4]],
  ...(['preactivation', 'split-preactivation', 'recurrent-input', 'hidden'] as const).map(
    (normalization): [string, () => Layer, number[]] => [
      `RNN, ${normalization}`,
      () => new RNN({ inputSize: 4, hiddenSize: 4, normalization, generator: generator(), ...float64 }),
      [2, 3, 4],
    ],
  ),
  ['LayerNorm', () => new LayerNorm({ size: 4, ...float64 }), [2, 3, 4]],
  ['LayerNorm without weights', () => new LayerNorm({ size: 4, affine: false, ...float64 }), [2, 3, 4]],
  ['RMSNorm', () => new RMSNorm({ size: 4, ...float64 }), [2, 3, 4]],
  ['Linear', () => new Linear({ inputSize: 4, outputSize: 4, generator: generator(), ...float64 }), [2, 3, 4]],
  ['LastStep', () => new LastStep(), [2, 3, 4]],
  ['Activation', () => new Activation({ kind: 'softmax' }), [2, 3, 4]],
  ['Sequential', () => new Sequential({ rnn: makeRNN(), ln: new LayerNorm({ size: 4, ...float64 }) }), [2, 3, 4]],
  ['Sequential in a Sequential', () => new Sequential([new Sequential([makeRNN()]), new LastStep()]), [2, 3, 4]],
];

/** All numbers of one forward and backward call on input `seed`. */
function numbers(layer: Layer, shape: readonly number[], seed = 1): unknown {
  clear(layer);
  const output = layer.forward(tensor(shape, seed));
  const gradInput = layer.backward(tensor(output.shape, seed + 100));
  return { output: output.toArray(), gradInput: gradInput.toArray(), ...gradients(layer) };
}
const gradients = (layer: Layer) => Object.fromEntries(layer.parameters().map(({ name, grad }) => [name, grad.toArray()]));
const clear = (layer: Layer) => {
  for (const { grad } of layer.parameters()) grad.data.fill(0);
};

describe.each(layers)('%s', (_, make, shape) => {
  const expected = numbers(make(), shape);
  const outputShape = make().forward(tensor(shape, 1)).shape;
  const gradOutput = () => tensor(outputShape, 101);

  /** The layer goes on as if nothing had happened. */
  const expectHealthy = (layer: Layer) => expect(numbers(layer, shape)).toEqual(expected);

  test('backward before forward', () => {
    const layer = make();
    expectRefused(() => layer.backward(gradOutput()), 'ERR_STATE', 'backward: expected one forward call before each backward call');
    expectHealthy(layer);
  });

  test('backward twice', () => {
    const layer = make();
    layer.forward(tensor(shape, 1));
    layer.backward(gradOutput());
    const once = gradients(layer);
    expectRefused(() => layer.backward(gradOutput()), 'ERR_STATE', 'none since the last backward call');
    expect(gradients(layer)).toEqual(once);
    expectHealthy(layer);
  });

  test('forward twice: backward belongs to the second', () => {
    const layer = make();
    layer.forward(tensor([5, ...shape.slice(1)], 7));
    expectHealthy(layer);
  });

  test('a gradient of another shape or dtype is refused, and the right one still works', () => {
    const layer = make();
    const output = layer.forward(tensor(shape, 1));
    for (const wrong of [
      outputShape.slice(1),
      [1, ...outputShape],
      outputShape.with(0, 3),
      outputShape.with(-1, 5),
      [outputShape.reduce((a, b) => a * b)],
    ]) {
      expectRefused(() => layer.backward(tensor(wrong, 1)), 'ERR_SHAPE', 'gradOutput: expected shape');
    }
    expectRefused(() => layer.backward(Tensor.zeros(outputShape)), 'ERR_DTYPE', 'gradOutput: expected a float64 tensor');
    const gone = gradOutput();
    detach(gone.data);
    expectRefused(() => layer.backward(gone), 'ERR_STATE', 'gradOutput: expected the');
    const gradInput = layer.backward(gradOutput());
    expect({ output: output.toArray(), gradInput: gradInput.toArray(), ...gradients(layer) }).toEqual(expected);
  });

  test('a refused forward call leaves no half-made pass', () => {
    const layer = make();
    // Of the wrong dtype, or for a layer that takes both, of the wrong shape.
    const takesBoth = layer instanceof LastStep || layer instanceof Activation;
    expectRefused(() => layer.forward(Tensor.zeros(takesBoth ? [] : [2, 2])), takesBoth ? 'ERR_SHAPE' : 'ERR_DTYPE', 'input');
    expectRefused(() => layer.backward(gradOutput()), 'ERR_STATE');
    expectHealthy(layer);
  });

  test('a detached input is refused by forward, and by backward when it went away in between', () => {
    const layer = make();
    const input = tensor(shape, 1);
    layer.forward(input);
    detach(input.data);
    expectRefused(() => layer.backward(gradOutput()), 'ERR_STATE', 'input of the last forward call: expected the');
    expect(gradients(layer)).toEqual(gradients(make()));
    expectRefused(() => layer.forward(input), 'ERR_STATE', 'input: expected the');
    expectHealthy(layer);
  });

  test('a detached parameter or gradient', () => {
    for (const index of make().parameters().keys()) {
      for (const side of ['value', 'grad'] as const) {
        const layer = make();
        layer.forward(tensor(shape, 1));
        const { [side]: gone } = layer.parameters()[index] as Parameter;
        detach(gone.data);
        expectRefused(() => layer.backward(gradOutput()), 'ERR_STATE', 'expected the');
        expectRefused(() => layer.forward(tensor(shape, 1)), 'ERR_STATE', 'expected the');
        if (side === 'value') expectRefused(() => layer.loadStateDict(make().stateDict()), 'ERR_STATE', 'expected the');
        else expectRefused(() => clipGradNorm(layer.parameters(), { maxNorm: 1 }), 'ERR_STATE', 'gradient of');
      }
    }
  });

  test('the output may be given back as its own gradient, and the input too', () => {
    const [layer, twin] = [make(), make()];
    const output = layer.forward(tensor(shape, 1));
    const copy = new Tensor(twin.forward(tensor(shape, 1)).data.slice(), output.shape);
    expect(layer.backward(output)).toEqual(twin.backward(copy));
    expect(gradients(layer)).toEqual(gradients(twin));
  });

  test('shared memory, and views at any offset, give the same numbers', () => {
    const layer = make();
    const inOffset = (source: Tensor, buffer: ArrayBufferLike) => {
      const view = new Float64Array(buffer, 8, source.size);
      view.set(source.data);
      return new Tensor(view, source.shape);
    };
    for (const Buffer of [SharedArrayBuffer, ArrayBuffer]) {
      clear(layer);
      const output = layer.forward(inOffset(tensor(shape, 1), new Buffer(8 * (tensor(shape, 1).size + 2))));
      const gradInput = layer.backward(inOffset(gradOutput(), new Buffer(8 * (output.size + 2))));
      expect({ output: output.toArray(), gradInput: gradInput.toArray(), ...gradients(layer) }).toEqual(expected);
    }
  });

  test('no result shares memory with another, or with a later one', () => {
    const layer = make();
    const input = tensor(shape, 1);
    const results = [layer.forward(input), layer.backward(gradOutput()), layer.forward(input), layer.backward(gradOutput())];
    const buffers = [input, ...results, ...layer.parameters().flatMap(({ value, grad }) => [value, grad])].map(({ data }) => data.buffer);
    expect(new Set(buffers).size).toBe(buffers.length);
    expect(results[2]).toEqual(results[0]);
    expect(results[3]).toEqual(results[1]);
  });

  test('NaN goes in and comes out, and the next call is clean', () => {
    const layer = make();
    const input = tensor(shape, 1);
    input.data.fill(Number.NaN);
    expect(layer.forward(input).data.some(Number.isNaN)).toBe(true);
    layer.backward(gradOutput());
    expectHealthy(layer);
  });
});

describe('RNN alone', () => {
  test('backward needs the output that forward returned', () => {
    const rnn = makeRNN();
    const output = rnn.forward(tensor([2, 3, 4], 1));
    detach(output.data);
    expectRefused(() => rnn.backward(tensor([2, 3, 4], 2)), 'ERR_STATE', 'output of the last forward call');
    expect(rnn.finalState.size).toBe(8);
  });

  test('and the initial state', () => {
    const rnn = makeRNN();
    const initialState = tensor([2, 4], 3);
    rnn.forward(tensor([2, 3, 4], 1), { initialState });
    detach(initialState.data);
    expectRefused(() => rnn.backward(tensor([2, 3, 4], 2)), 'ERR_STATE', 'initialState of the last forward call');
    expectRefused(() => rnn.forward(tensor([2, 3, 4], 1), { initialState }), 'ERR_STATE', 'initialState: expected the');
  });

  test('its own final state may be the next initial state, with the gradient of a zero one left alone', () => {
    const rnn = makeRNN();
    const x = tensor([2, 3, 4], 1);
    rnn.forward(x);
    const initialState = rnn.finalState;
    const before = initialState.toArray();
    rnn.forward(x, { initialState });
    rnn.backward(tensor([2, 3, 4], 2));
    expect(initialState.toArray()).toEqual(before);
    expect(rnn.gradInitialState.toArray()).not.toEqual(before);
  });
});

test.each([
  ['RNN', makeRNN, 1, [2, 2, 4]],
  ['Linear', () => new Linear({ inputSize: 4, outputSize: 4, generator: generator(), ...float64 }), 0, [4, 4]],
] as const)('%s: a gradient in the memory of a parameter gradient, which backward adds to, is refused', (_, make, index, shape) => {
  const layer = make();
  layer.forward(tensor(shape, 1));
  const { grad } = layer.parameters()[index] as Parameter;
  grad.data.fill(1);
  expectRefused(() => layer.backward(new Tensor(grad.data, shape)), 'ERR_OPTION', 'gradOutput: expected memory of its own');
  expect(layer.backward(new Tensor(grad.data.slice(), shape)).shape).toEqual(shape);
});

test.each([
  ['RNN', makeRNN, 1, [2, 2, 4]],
  ['Linear', () => new Linear({ inputSize: 4, outputSize: 4, generator: generator(), ...float64 }), 0, [4, 4]],
  ['LayerNorm', () => new LayerNorm({ size: 4, ...float64 }), 0, [1, 4]],
] as const)('%s: an input in the memory of a parameter gradient is refused by backward', (_, make, index, shape) => {
  const layer = make();
  const { grad } = layer.parameters()[index] as Parameter;
  const output = layer.forward(new Tensor(grad.data, shape));
  expectRefused(() => layer.backward(output), 'ERR_OPTION', 'input of the last forward call: expected memory of its own');
  expect(gradients(layer)).toEqual(gradients(make()));
});

test.each([null, 0, '', false])('a gradFinalState of %p is refused', (gradFinalState) => {
  const layer = makeRNN();
  const output = layer.forward(tensor([2, 3, 4], 1));
  expectRefused(() => layer.backward(output, { gradFinalState } as never), 'ERR_OPTION', 'gradFinalState');
});

test('the state of an LSTM in an earlier run of a workspace is refused, also where the memory that stands for it was transferred', () => {
  const layer = new LSTM({ inputSize: 4, hiddenSize: 4, generator: generator(), ...float64 });
  const workspace = new Workspace();
  const output = workspace.run(() => layer.forward(tensor([2, 3, 4], 1)));
  for (let i = 0; i < 3; i++) workspace.run(() => {});
  expectRefused(() => layer.finalState, 'ERR_STATE', 'the state: expected a tensor of this run');
  detach(output.data);
  expectRefused(() => layer.finalState, 'ERR_STATE', 'the state');
});

test('so is an initial state', () => {
  const layer = makeRNN();
  const { grad } = layer.parameters()[3] as Parameter;
  const output = layer.forward(tensor([1, 3, 4], 1), { initialState: new Tensor(grad.data, [1, 4]) });
  expectRefused(() => layer.backward(output), 'ERR_OPTION', 'initialState of the last forward call: expected memory of its own');
});

test('memory beside a gradient, in the same buffer, is memory of its own', () => {
  const memory = new Float64Array(8);
  const gradient = new Parameter('w', tensor([4], 1), new Tensor(memory.subarray(0, 4), [4]));
  expect(clipGradNorm([gradient, new Parameter('v', tensor([4], 1), new Tensor(memory.subarray(4), [4]))], { maxNorm: 1 })).toBe(0);
});

test('outputs can be transferred to another thread once they are done with', () => {
  const layer = new LayerNorm({ size: 4000 });
  const output = layer.forward(Tensor.zeros([4, 4000]));
  layer.backward(output);
  detach(output.data);
  expect(output.data.length).toBe(0);
});

test('a step between forward and backward is not seen, but the layer stays sound', () => {
  const model = new Sequential({ rnn: makeRNN() });
  const optimizer = new Adam(model.parameters());
  model.forward(tensor([2, 3, 4], 1));
  optimizer.step();
  expect(model.backward(tensor([2, 3, 4], 2)).data.every(Number.isFinite)).toBe(true);
});
