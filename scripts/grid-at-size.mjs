// The study's designs at another number of hidden units, or scale of the input: which explode?
//   node scripts/grid-at-size.mjs [units] [scale] [--sequences 16] [--seeds 3]     256 units at scale 1 unless given
import { parseArgs } from 'node:util';
import { Generator, gradientFlow, LayerNorm, RNN, Sequential, Tensor } from '../dist/index.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { sequences: { type: 'string', default: '16' }, seeds: { type: 'string', default: '3' } },
});
const [units = 256, scale = 1] = positionals.map(Number);
const [sequences, seeds] = [Number(values.sequences), Number(values.seeds)];
const [steps, inputSize, dtype] = [200, 10, 'float64'];
const starts = [{ name: 'uniform' }, { name: 'orthogonal' }, { name: 'orthogonal', gain: 1.5 }, { name: 'identity' }];
const places = ['none', 'input', 'output', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];

function flowOf(place, recurrentInitializer, seed) {
  const generator = new Generator(seed);
  const normalization = place === 'input' || place === 'output' ? 'none' : place;
  const rnn = new RNN({ inputSize, hiddenSize: units, normalization, recurrentInitializer, dtype, generator, returnSequences: false });
  const input = Tensor.randn([sequences, steps, inputSize], { dtype, generator });
  for (let i = 0; i < input.data.length; i++) input.data[i] *= scale;
  const norm = (size) => new LayerNorm({ size, dtype });
  const layers = place === 'input' ? { norm: norm(inputSize), rnn } : place === 'output' ? { rnn, norm: norm(units) } : { rnn };
  return gradientFlow(new Sequential(layers), input).layers[0];
}

const exploding = [];
for (const place of places) {
  const cells = starts.map((start) => {
    const flows = Array.from({ length: seeds }, (_, i) => flowOf(place, start, i + 1));
    const name = `${start.name}${start.gain === undefined ? '' : ` ×${start.gain}`}`;
    if (flows.filter(({ verdict }) => verdict === 'exploding').length > seeds / 2) exploding.push(`${place}, ${name}`);
    const rate = flows.reduce((sum, { growthRate }) => sum + growthRate, 0) / seeds;
    return `${name} ${rate >= 0 ? '+' : '−'}${Math.abs(rate).toFixed(3)}`;
  });
  console.log(`${place.padEnd(20)} ${cells.join('   ')}`);
}
console.log(
  `${units} units, input ×${scale}: ${exploding.length} of ${places.length * starts.length} explode: ${exploding.join('; ') || 'none'}`,
);
