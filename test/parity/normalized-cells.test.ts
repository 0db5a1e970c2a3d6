import { type CellNormalization, GRU, LSTM, type Placement } from '../../lib/index';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES, Goldens, PRECISIONS } from '../helpers/fixtures';

const goldens = new Goldens('normalized-cells');
const { eps, cellNormalizations, normalizedSizes } = CASES.cells;
const placements: Placement[] = ['none', ...CASES.placements.placements];

const PLACES = placements.flatMap((placement) =>
  (placement.includes('preactivation') ? (['joint', 'gate'] as const) : (['joint'] as const)).map((scope) => ({ placement, scope })),
);

describe.each(PRECISIONS)('normalisations inside a gated cell agree with PyTorch in $dtype', ({ dtype, within }) => {
  describe.each(PLACES)('$placement, $scope', ({ placement, scope }) => {
    describe.each(CASES.placements.kinds)('%s', (kind) => {
      const normalization = { placement, scope, kind, eps };

      test.each(cellNormalizations.filter((name) => placement !== 'none' || name !== 'none'))('LSTM, cell state %s', (name) => {
        for (const [n, t, i, h, p = h] of normalizedSizes) {
          const prefix = ['lstm', placement, scope, kind, name, [n, t, i, h, ...(p === h ? [] : [p])].join('x')].join('/');
          const cellNormalization = { placement: name, kind, eps };
          const layer = new LSTM({
            inputSize: i,
            hiddenSize: h,
            ...(p === h ? {} : { projSize: p }),
            normalization,
            cellNormalization,
            dtype,
          });
          fillRecurrent(layer, `${prefix}/`);
          const initialState = { h: fill(`${prefix}/h0`, [n, p], { dtype }), c: fill(`${prefix}/c0`, [n, h], { dtype }) };
          const gradFinalState = { h: fill(`${prefix}/dhT`, [n, p], { dtype }), c: fill(`${prefix}/dcT`, [n, h], { dtype }) };

          const output = layer.forward(fill(`${prefix}/x`, [n, t, i], { dtype }), { initialState });
          const gradInput = layer.backward(fill(`${prefix}/dy`, [n, t, p], { dtype }), { gradFinalState });

          goldens.expect(`${prefix}/output`, output, { within });
          goldens.expect(`${prefix}/hT`, layer.finalState.h, { within });
          goldens.expect(`${prefix}/cT`, layer.finalState.c, { within });
          goldens.expect(`${prefix}/dx`, gradInput, { within });
          goldens.expect(`${prefix}/dh0`, layer.gradInitialState.h, { within });
          goldens.expect(`${prefix}/dc0`, layer.gradInitialState.c, { within });
          for (const { name: parameter, grad } of layer.parameters()) goldens.expect(`${prefix}/${parameter}`, grad, { within });
          expect(layer.parameters().map((parameter) => parameter.name)).toEqual([
            'weight_ih_l0',
            'weight_hh_l0',
            'bias_ih_l0',
            'bias_hh_l0',
            ...(p === h ? [] : ['weight_hr_l0']),
            ...normNames(placement, kind, name),
          ]);
        }
      });

      if (placement === 'none') return;
      test.each([true, false])('GRU, resetAfter %s', (resetAfter) => {
        for (const [n, t, i, h, p] of normalizedSizes) {
          if (p !== undefined) continue;
          const prefix = ['gru', placement, scope, kind, resetAfter ? 'reset-after' : 'reset-before', [n, t, i, h].join('x')].join('/');
          const layer = new GRU({ inputSize: i, hiddenSize: h, resetAfter, normalization, dtype });
          fillRecurrent(layer, `${prefix}/`);
          const initialState = fill(`${prefix}/h0`, [n, h], { dtype });
          const gradFinalState = fill(`${prefix}/dhT`, [n, h], { dtype });

          const output = layer.forward(fill(`${prefix}/x`, [n, t, i], { dtype }), { initialState });
          const gradInput = layer.backward(fill(`${prefix}/dy`, [n, t, h], { dtype }), { gradFinalState });

          goldens.expect(`${prefix}/output`, output, { within });
          goldens.expect(`${prefix}/hT`, layer.finalState, { within });
          goldens.expect(`${prefix}/dx`, gradInput, { within });
          goldens.expect(`${prefix}/dh0`, layer.gradInitialState, { within });
          for (const { name, grad } of layer.parameters()) goldens.expect(`${prefix}/${name}`, grad, { within });
          expect(
            layer
              .parameters()
              .slice(4)
              .map(({ name }) => name),
          ).toEqual(normNames(placement, kind, 'none'));
        }
      });
    });
  });
});

function normNames(placement: Placement, kind: 'layer' | 'rms', cellNormalization: CellNormalization): string[] {
  const names = {
    none: [],
    preactivation: ['norm.weight', 'norm.bias'],
    'split-preactivation': ['norm_ih.weight', 'norm_hh.weight'],
    'recurrent-input': ['norm.weight', 'norm.bias'],
    hidden: ['norm.weight', 'norm.bias'],
  }[placement];
  const ofCell = cellNormalization === 'none' ? [] : ['norm_cell.weight', 'norm_cell.bias'];
  return [...names, ...ofCell].filter((name) => kind === 'layer' || !name.endsWith('bias'));
}
