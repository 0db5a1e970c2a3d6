// Several layers, both directions and lengths, against torch.nn with packed sequences.
import { GRU, LSTM, type LSTMState, type RecurrentLayer, RNN, Tensor } from '../../lib/index';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES, Goldens, PRECISIONS } from '../helpers/fixtures';

const goldens = new Goldens('stacks');
const { cells, sizes, layers, lengths: allLengths } = CASES.stacks;
const [n, t, i, h] = sizes;

const cases = cells.flatMap((cell) =>
  layers.flatMap((numLayers) =>
    [false, true].flatMap((bidirectional) => allLengths.map((lengths) => ({ cell, numLayers, bidirectional, lengths }))),
  ),
);

describe.each(PRECISIONS)('$dtype', ({ dtype, within }) => {
  test.each(cases)('$cell, $numLayers layers, bidirectional $bidirectional, lengths $lengths', ({ cell, lengths, ...options }) => {
    const [kind, projection] = cell.split('-p');
    const projSize = projection === undefined ? undefined : Number(projection);
    const directions = options.bidirectional ? 2 : 1;
    const places = options.numLayers * directions;
    const prefix = `${cell}/${options.numLayers}x${directions}${lengths === null ? '' : `/${lengths.join('-')}`}`;
    const given = { inputSize: i, hiddenSize: h, dtype, ...options };
    const made = kind === 'lstm' ? new LSTM({ ...given, projSize }) : kind === 'gru' ? new GRU(given) : new RNN(given);
    const layer = made as RecurrentLayer<Tensor | LSTMState>;
    fillRecurrent(layer, `${prefix}/`);
    const p = projSize ?? h;
    const state = (name: string, width: number) => fill(`${prefix}/${name}`, places === 1 ? [n, width] : [places, n, width], { dtype });
    const states = (name: (part: string) => string) =>
      kind === 'lstm' ? { h: state(name('h'), p), c: state(name('c'), h) } : state(name('h'), p);

    const call = {
      initialState: states((part) => `${part}0`),
      ...(lengths === null ? {} : { lengths }),
    };
    const output = layer.forward(fill(`${prefix}/x`, [n, t, i], { dtype }), call);
    const gradFinalState = states((part) => `d${part}T`);
    const gradInput = layer.backward(fill(`${prefix}/dy`, [n, t, directions * p], { dtype }), { gradFinalState });

    goldens.expect(`${prefix}/output`, output, { within });
    goldens.expect(`${prefix}/dx`, gradInput, { within });
    const partsOf = (all: Tensor | LSTMState): Record<string, Tensor> => (all instanceof Tensor ? { h: all } : { ...all });
    for (const [name, tensor] of Object.entries(partsOf(layer.finalState))) expectState(`${prefix}/${name}T`, tensor);
    for (const [name, tensor] of Object.entries(partsOf(layer.gradInitialState))) expectState(`${prefix}/d${name}0`, tensor);
    for (const { name, grad } of layer.parameters()) goldens.expect(`${prefix}/${name}`, grad, { within });

    /** torch has a first dimension of one place too. */
    function expectState(key: string, tensor: Tensor): void {
      goldens.expect(key, places === 1 ? new Tensor(tensor.data, [1, ...tensor.shape]) : tensor, { within });
    }
  });
});
