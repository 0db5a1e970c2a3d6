// Worker threads that are ended in the middle of a native call, three at a time; the main thread must compute the same bits after each.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const path = new URL('../../dist/index.js', import.meta.url).pathname;
const { Generator, RNN, Tensor } = createRequire(import.meta.url)(path);
const SOURCE = `
const { Adam, clipGradNorm, Generator, RNN, Tensor, Workspace } = require(${JSON.stringify(path)});
const generator = new Generator(1);
const rnn = new RNN({ inputSize: 16, hiddenSize: 48, generator, normalization: 'hidden' });
const input = Tensor.randn([8, 400, 16], { generator });
const optimizer = new Adam(rnn.parameters());
const workspace = new Workspace();
require('node:worker_threads').parentPort.postMessage('begins');
for (;;) workspace.run(() => { optimizer.zeroGrad(); rnn.backward(rnn.forward(input)); clipGradNorm(rnn.parameters(), { maxNorm: 1 }); optimizer.step(); });`;

function probe() {
  const generator = new Generator(2);
  const rnn = new RNN({ inputSize: 4, hiddenSize: 8, generator });
  rnn.backward(rnn.forward(Tensor.randn([3, 20, 4], { generator })));
  const hash = createHash('sha256');
  for (const { grad } of rnn.parameters()) hash.update(new Uint8Array(grad.data.buffer));
  return hash.digest('hex');
}

export async function measure(minutes) {
  const expected = probe();
  const result = { terminated: 0, otherBits: 0, errors: 0, residentBefore: process.memoryUsage().rss };
  const end = Date.now() + 60_000 * minutes;
  const lane = async () => {
    while (Date.now() < end) {
      const worker = new Worker(SOURCE, { eval: true });
      worker.on('error', () => result.errors++);
      await once(worker, 'message');
      await sleep(25 * Math.random());
      await worker.terminate();
      result.terminated++;
      if (probe() !== expected) result.otherBits++;
    }
  };
  await Promise.all([lane(), lane(), lane()]);
  return { ...result, residentAfter: process.memoryUsage().rss };
}
