import { GRU, LSTM, Tensor } from '../../lib/index';
import { fill, fillRecurrent } from '../helpers/fill';
import { CASES, type CellCase, Goldens, numbered, PRECISIONS } from '../helpers/fixtures';
import { expectGruGoldens, expectLstmGoldens } from './gated-cell';

const goldens = new Goldens('cells');

function prefixOf(cell: string, { sizes, projSize, bias = true, resetAfter = true }: CellCase): string {
  const words = [cell, sizes.join('x')];
  if (projSize !== undefined) words.push(`p${projSize}`);
  if (!bias) words.push('no-bias');
  if (!resetAfter) words.push('reset-before');
  return words.join('/');
}

describe.each(PRECISIONS)('$dtype', ({ dtype, within }) => {
  test.each(numbered(CASES.cells.lstm))('LSTM agrees with torch.nn.LSTM: %s', (_, _index, content) => {
    const { sizes, projSize, bias } = content;
    const [n, t, i, h] = sizes;
    const prefix = prefixOf('lstm', content);
    const layer = new LSTM({ inputSize: i, hiddenSize: h, projSize, bias, dtype });
    expectLstmGoldens(layer, { goldens, prefix, n, t, dtype, within });
    expect(layer.parameters().map(({ name }) => name)).toEqual([
      'weight_ih_l0',
      'weight_hh_l0',
      ...(bias === false ? [] : ['bias_ih_l0', 'bias_hh_l0']),
      ...(projSize === undefined ? [] : ['weight_hr_l0']),
    ]);
  });

  test.each(numbered(CASES.cells.gru))(
    'GRU agrees with torch.nn.GRU, or with its equations where the reset comes first: %s',
    (_, _index, content) => {
      const { sizes, bias, resetAfter } = content;
      const [n, t, i, h] = sizes;
      const prefix = prefixOf('gru', content);
      const layer = new GRU({ inputSize: i, hiddenSize: h, bias, resetAfter, dtype });
      expectGruGoldens(layer, { goldens, prefix, n, t, dtype, within });
      expect(layer.parameters()).toHaveLength(bias === false ? 2 : 4);
    },
  );
});

test('from a state of zeros where none is given, and the last output alone on request', () => {
  const [n, t, i, h] = [3, 5, 4, 7];
  const options = { inputSize: i, hiddenSize: h, dtype: 'float64' } as const;
  const x = fill('x', [n, t, i]);
  const zeros = Tensor.zeros([n, h], { dtype: 'float64' });
  for (const make of [
    (returnSequences: boolean) => {
      const layer = new LSTM({ ...options, returnSequences });
      fillRecurrent(layer);
      return { zero: layer.forward(x, { initialState: { h: zeros, c: zeros } }).toArray(), none: layer.forward(x) };
    },
    (returnSequences: boolean) => {
      const layer = new GRU({ ...options, returnSequences });
      fillRecurrent(layer);
      return { zero: layer.forward(x, { initialState: zeros }).toArray(), none: layer.forward(x) };
    },
  ]) {
    const { zero, none } = make(true);
    expect(none.toArray()).toEqual(zero);
    const last = (none.toArray() as number[][][]).map((sequence) => sequence[t - 1]);
    expect(make(false).none.toArray()).toEqual(last);
  }
});
