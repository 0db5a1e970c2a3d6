// How long one training step of Example 3 takes here (zeroGrad, forward, MSE, backward, clip, Adam at N = 32, T = 50, I = 10, H = 20), beside
// PyTorch when a Python that has it is named. Both take turns, so that a slow minute of the machine hits both.
//   node bench/reference-step.mjs [--python path/to/python] [--rounds 5]
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  Adam,
  clipGradNorm,
  Generator,
  getNumThreads,
  LayerNorm,
  mseLoss,
  RNN,
  runtimeInfo,
  Sequential,
  setNumThreads,
  Tensor,
} from 'evenkeel';

const STEPS = 1000;
const { python, rounds } = parseArgs({ options: { python: { type: 'string' }, rounds: { type: 'string', default: '5' } } }).values;
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const allThreads = getNumThreads();

function evenkeelStep(threads) {
  setNumThreads(threads);
  const generator = new Generator(0);
  const model = new Sequential({ rnn: new RNN({ inputSize: 10, hiddenSize: 20, generator }), ln: new LayerNorm({ size: 20 }) });
  const optimizer = new Adam(model.parameters(), { learningRate: 1e-3 });
  const x = Tensor.randn([32, 50, 10], { generator });
  const target = Tensor.randn([32, 50, 20], { generator });
  const times = [];
  for (let step = 0; step < STEPS + 500; step++) {
    const start = performance.now();
    optimizer.zeroGrad();
    const { grad } = mseLoss(model.forward(x), target);
    model.backward(grad);
    clipGradNorm(model.parameters(), { maxNorm: 1 });
    optimizer.step();
    if (step >= 500) times.push(performance.now() - start);
  }
  return median(times);
}

let torchVersion;
function torchStep() {
  const args = [join(import.meta.dirname, 'reference-step.py'), `${STEPS}`, `${allThreads}`];
  const [version, time] = execFileSync(python, args, { encoding: 'utf8' }).split(' ');
  torchVersion = version;
  return Number(time);
}

const results = Array.from({ length: Number(rounds) }, () => ({
  ours: Math.min(evenkeelStep(1), evenkeelStep(allThreads)),
  torch: python === undefined ? undefined : torchStep(),
}));

console.log(
  `${cpus()[0]?.model}, 1 and ${allThreads} threads (the better counts), SIMD ${runtimeInfo().simdTarget}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}`,
);
console.log(
  `evenkeel ${runtimeInfo().version}: ${median(results.map(({ ours }) => ours)).toFixed(3)} ms per step (median of ${rounds} rounds of ${STEPS} steps)`,
);
if (python !== undefined) {
  const ratios = results.map(({ ours, torch }) => torch / ours);
  console.log(`PyTorch ${torchVersion}: ${median(results.map(({ torch }) => torch)).toFixed(3)} ms per step`);
  console.log(
    `PyTorch takes ${median(ratios).toFixed(1)} times as long (${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)} over the rounds)`,
  );
}
