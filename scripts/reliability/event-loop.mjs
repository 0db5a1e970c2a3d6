// How long the event loop waits while something trains or reads in the same thread, as node:perf_hooks measures it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const { Adam, fit, Generator, LastStep, Linear, mseLoss, RNN, readSeriesAsync, Sequential, Tensor } = createRequire(import.meta.url)(
  '../../dist/index.js',
);

async function delayDuring(work) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const begin = performance.now();
  await work();
  delay.disable();
  return {
    seconds: (performance.now() - begin) / 1000,
    p50Ms: delay.percentile(50) / 1e6,
    p99Ms: delay.percentile(99) / 1e6,
    maxMs: delay.max / 1e6,
  };
}

function training(n, t, hiddenSize, steps) {
  const generator = new Generator(1);
  const model = new Sequential({
    rnn: new RNN({ inputSize: 8, hiddenSize, generator }),
    last: new LastStep(),
    head: new Linear({ inputSize: hiddenSize, outputSize: 1, generator }),
  });
  const batch = { input: Tensor.randn([n, t, 8], { generator }), target: Tensor.randn([n, 1], { generator }) };
  return () => fit(model, [batch], { loss: mseLoss, optimizer: new Adam(model.parameters()), epochs: steps });
}

export async function measure() {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-loop-'));
  try {
    const file = join(folder, 'minutes.csv');
    const rows = Array.from({ length: 525_600 }, (_, minute) => `${minute},${(minute % 1440) / 7},${minute % 13}`);
    writeFileSync(file, `minute,a,b\n${rows.join('\n')}\n`);
    return {
      'fit, 32 sequences of 50 steps, 32 units': await delayDuring(training(32, 50, 32, 500)),
      'fit, 32 sequences of 200 steps, 128 units': await delayDuring(training(32, 200, 128, 100)),
      'readSeriesAsync, a year of minutes (525,600 rows)': await delayDuring(() => readSeriesAsync(file, { columns: ['a', 'b'] })),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
