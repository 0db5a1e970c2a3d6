// Training, evaluation, saving and loading for as long as asked: what the process takes and how long a step lasts, in its first tenth and in its last.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { Adam, fit, Generator, LastStep, Linear, loadCheckpoint, mseLoss, RNN, Sequential, saveCheckpoint, Tensor } = createRequire(
  import.meta.url,
)('../../dist/index.js');

export async function measure(minutes) {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-long-'));
  const generator = new Generator(1);
  const make = (shape) => Tensor.randn(shape, { generator });
  const batches = Array.from({ length: 20 }, () => ({ input: make([16, 50, 8]), target: make([16, 1]) }));
  const samples = [];
  const begin = Date.now();
  const end = begin + 60_000 * minutes;
  let steps = 0;
  let rounds = 0;
  try {
    while (Date.now() < end || samples.length < 20) {
      // A new model in each round, so that what a model leaves behind adds up.
      const model = new Sequential({
        rnn: new RNN({ inputSize: 8, hiddenSize: 32, generator, normalization: 'preactivation' }),
        last: new LastStep(),
        head: new Linear({ inputSize: 32, outputSize: 1, generator }),
      });
      const optimizer = new Adam(model.parameters());
      const started = performance.now();
      const { loss } = await fit(model, batches, { loss: mseLoss, optimizer, epochs: 5, clip: { maxNorm: 1 } });
      samples.push({ resident: process.memoryUsage().rss, stepMs: (performance.now() - started) / loss.length });
      steps += loss.length;
      saveCheckpoint(join(folder, 'a'), { model, optimizer, step: rounds++ });
      loadCheckpoint(join(folder, 'a'), { model, optimizer });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const tenth = Math.max(1, Math.floor(samples.length / 10));
  // The first rounds warm up: compilers, pools and caches grow then.
  const [early, late] = [samples.slice(tenth, 2 * tenth), samples.slice(-tenth)];
  const mean = (list, key) => list.reduce((sum, sample) => sum + sample[key], 0) / list.length;
  return {
    seconds: (Date.now() - begin) / 1000,
    steps,
    models: rounds,
    residentEarly: mean(early, 'resident'),
    residentLate: mean(late, 'resident'),
    stepMsEarly: mean(early, 'stepMs'),
    stepMsLate: mean(late, 'stepMs'),
  };
}
