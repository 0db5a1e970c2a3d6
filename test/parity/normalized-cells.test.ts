import { type CellNormalization, GRU, LSTM, type Placement } from '../../lib/index';
import { CASES, Goldens, PRECISIONS } from '../helpers/fixtures';
import { expectGruGoldens, expectLstmGoldens } from './gated-cell';

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
          expectLstmGoldens(layer, { goldens, prefix, n, t, dtype, within });
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
          expectGruGoldens(layer, { goldens, prefix, n, t, dtype, within });
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
