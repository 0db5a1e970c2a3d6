import { Generator, GRU, gradientFlow, LSTM, Sequential, Tensor } from '../../lib/index';
import { depthSetUp, runDepth } from '../../lib/study/depth';
import { gridSetUp, runGrid } from '../../lib/study/grid';
import { makeCell, placedLayers, recurrencesOf } from '../../lib/study/placements';
import type { DepthPart, GridPart } from '../../lib/study/results';
import { starts } from '../../lib/study/starts';

const silent = { begin() {}, advance() {}, end() {} };

test('the study’s layers are those of its cell, with the same weights in every place', () => {
  const options = { inputSize: 3, hiddenSize: 4, dtype: 'float64' } as const;
  expect(makeCell({ ...options, cell: 'lstm' })).toBeInstanceOf(LSTM);
  expect(makeCell({ ...options, cell: 'gru' })).toBeInstanceOf(GRU);
  const weightsOf = (place: 'none' | 'output') => {
    const { rnn } = placedLayers(place, { ...options, cell: 'gru', generator: new Generator(3) });
    return rnn?.stateDict().weight_hh_l0?.toArray();
  };
  expect(weightsOf('output')).toEqual(weightsOf('none'));
});

test('recurrent-input is a recurrence of its own in a GRU alone', () => {
  const input = Tensor.randn([2, 600, 3], { dtype: 'float64', generator: new Generator(1) });
  const rateOf = (cell: 'lstm' | 'gru', place: 'hidden' | 'recurrent-input') => {
    const options = { cell, inputSize: 3, hiddenSize: 5, dtype: 'float64', generator: new Generator(2), returnSequences: false } as const;
    return gradientFlow(new Sequential(placedLayers(place, options)), input).layers[0]?.growthRate as number;
  };
  expect(rateOf('gru', 'hidden')).not.toBeCloseTo(rateOf('gru', 'recurrent-input'), 3);
  const names = (cell: 'rnn' | 'lstm' | 'gru') => recurrencesOf(cell).map(({ name }) => name);
  expect(names('gru')).toContain('recurrent-input');
  expect(names('lstm')).not.toContain('recurrent-input');
  expect(rateOf('lstm', 'hidden')).toBeCloseTo(rateOf('lstm', 'recurrent-input'), 2);
});

test('the grid and the designs of a cell with gates: every place and start, no theory', async () => {
  const grid: GridPart = { plan: 'quick', cell: 'gru', ...gridSetUp, sequences: 2, draws: 2, timeSteps: 8, cells: [] };
  await runGrid(grid, 1, silent);
  expect(grid.cells).toHaveLength(3 * starts.length * 2 * 7);
  for (const { meanField, growth } of grid.cells) {
    expect(meanField).toBeNull();
    expect(growth.mean).not.toBeNaN();
  }
  const depth: DepthPart = { ...depthSetUp, cell: 'lstm', hiddenSize: 3, sequences: 2, seeds: 2, timeSteps: 12, designs: [] };
  await runDepth(depth, 1, silent);
  expect(depth.designs).toHaveLength(starts.length * 6);
  // Of the whole state, h and c.
  expect(depth.designs[0]?.spectra[0]?.exponents).toHaveLength(6);
});
