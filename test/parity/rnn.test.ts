import { RNN } from '../../lib/index';
import { fanInScale, fill } from '../helpers/fill';
import { CASES, Goldens, PRECISIONS } from '../helpers/fixtures';

const goldens = new Goldens('rnn');

describe.each(PRECISIONS)('RNN agrees with PyTorch in $dtype', ({ dtype, within }) => {
  describe.each(CASES.rnn.nonlinearities)('%s', (nonlinearity) => {
    describe.each(CASES.rnn.sizes)('N %i, T %i, I %i, H %i', (n, t, i, h) => {
      test.each(['', '/h0'])('output, final state and every gradient %s', (suffix) => {
        const prefix = `${nonlinearity}/${n}x${t}x${i}x${h}${suffix}`;
        const layer = new RNN({ inputSize: i, hiddenSize: h, nonlinearity, dtype });
        layer.loadStateDict({
          weight_ih_l0: fill(`${prefix}/weight_ih_l0`, [h, i], { scale: fanInScale(i), dtype }),
          weight_hh_l0: fill(`${prefix}/weight_hh_l0`, [h, h], { scale: fanInScale(h), dtype }),
          bias_ih_l0: fill(`${prefix}/bias_ih_l0`, [h], { offset: 0.25, scale: 0.5, dtype }),
          bias_hh_l0: fill(`${prefix}/bias_hh_l0`, [h], { offset: 0.25, scale: 0.5, dtype }),
        });
        const initialState = suffix === '' ? undefined : fill(`${prefix}/h0`, [n, h], { dtype });

        const output = layer.forward(fill(`${prefix}/x`, [n, t, i], { dtype }), { initialState });
        const gradInput = layer.backward(fill(`${prefix}/dy`, [n, t, h], { dtype }));

        goldens.expect(`${prefix}/output`, output, { within });
        goldens.expect(`${prefix}/final`, layer.finalState, { within });
        goldens.expect(`${prefix}/dx`, gradInput, { within });
        goldens.expect(`${prefix}/dh0`, layer.gradInitialState, { within });
        for (const { name, grad } of layer.parameters()) {
          // One step from a zero state: the recurrent weights have nothing to multiply.
          goldens.expect(`${prefix}/${name}`, grad, { within, zero: name === 'weight_hh_l0' && t === 1 && initialState === undefined });
        }
        expect(layer.parameters()).toHaveLength(4);
      });
    });
  });
});
