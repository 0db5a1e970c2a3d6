import { type Placement, RNN } from '../../lib/index';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES, Goldens, PRECISIONS } from '../helpers/fixtures';

const goldens = new Goldens('placements');
const { placements, kinds, eps, sizes } = CASES.placements;

const ADDED: Record<Placement, string[]> = {
  none: [],
  preactivation: ['norm.weight', 'norm.bias'],
  'split-preactivation': ['norm_ih.weight', 'norm_hh.weight'],
  'recurrent-input': ['norm.weight', 'norm.bias'],
  hidden: ['norm.weight', 'norm.bias'],
};

describe.each(PRECISIONS)('a normalisation in the recurrence agrees with PyTorch in $dtype', ({ dtype, within }) => {
  describe.each(placements)('%s', (placement) => {
    describe.each(kinds)('%s', (kind) => {
      describe.each(CASES.rnn.nonlinearities)('%s', (nonlinearity) => {
        describe.each(sizes)('N %i, T %i, I %i, H %i', (n, t, i, h) => {
          test.each(['', '/h0'])('output and every gradient %s', (suffix) => {
            const prefix = `${placement}/${kind}/${nonlinearity}/${n}x${t}x${i}x${h}${suffix}`;
            const layer = new RNN({ inputSize: i, hiddenSize: h, nonlinearity, dtype, normalization: { placement, kind, eps } });
            fillRecurrent(layer, `${prefix}/`);
            const initialState = suffix === '' ? undefined : fill(`${prefix}/h0`, [n, h], { dtype });

            const output = layer.forward(fill(`${prefix}/x`, [n, t, i], { dtype }), { initialState });
            const gradInput = layer.backward(fill(`${prefix}/dy`, [n, t, h], { dtype }));

            goldens.expect(`${prefix}/output`, output, { within });
            goldens.expect(`${prefix}/dx`, gradInput, { within });
            goldens.expect(`${prefix}/dh0`, layer.gradInitialState, { within });
            const added = ADDED[placement].filter((name) => kind === 'layer' || !name.endsWith('bias'));
            expect(layer.parameters().map(({ name }) => name)).toEqual([
              'weight_ih_l0',
              'weight_hh_l0',
              'bias_ih_l0',
              'bias_hh_l0',
              ...added,
            ]);
            for (const { name, grad } of layer.parameters()) {
              // One step from a zero state: nothing is fed back that a weight could multiply.
              const zero = t === 1 && suffix === '' && isOfFeedback(name, placement, kind);
              goldens.expect(`${prefix}/${name}`, grad, { within, zero });
            }
          });
        });
      });
    });
  });
});

function isOfFeedback(name: string, placement: Placement, kind: string): boolean {
  // A LayerNorm of zeros gives its bias.
  if (placement === 'recurrent-input') return kind === 'layer' ? name === 'norm.weight' : /norm.weight|weight_hh/.test(name);
  return name === 'weight_hh_l0' || name === 'norm_hh.weight';
}
