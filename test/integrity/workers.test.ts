// The addon in several threads at once, in threads that are ended while they compute, and with memory that threads share.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Generator, getNumThreads, LayerNorm, RNN, setNumThreads, Tensor } from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const library = JSON.stringify(join(__dirname, '../../dist/index.js'));

/** Trains a model of a size that uses the thread pool, and returns its weights as text. */
const TRAIN = `
  function train(evenkeel, steps, onStep = () => {}) {
    const { Adam, Generator, LayerNorm, RNN, Sequential, Tensor, clipGradNorm, mseLoss } = evenkeel;
    const generator = new Generator(5);
    const model = new Sequential({ rnn: new RNN({ inputSize: 16, hiddenSize: 48, generator }), ln: new LayerNorm({ size: 48 }) });
    const optimizer = new Adam(model.parameters(), { learningRate: 0.01 });
    const input = Tensor.randn([16, 40, 16], { generator });
    const target = Tensor.randn([16, 40, 48], { generator });
    for (let step = 0; step < steps; step++) {
      optimizer.zeroGrad();
      model.backward(mseLoss(model.forward(input), target).grad);
      clipGradNorm(model.parameters(), { maxNorm: 0.5 });
      optimizer.step();
      onStep(step);
    }
    return JSON.stringify(model.parameters().map(({ value }) => [...value.data]));
  }
`;

const startWorker = (body: string, workerData: unknown = undefined) =>
  new Worker(`const { parentPort, workerData } = require('node:worker_threads'); const evenkeel = require(${library}); ${TRAIN} ${body}`, {
    eval: true,
    workerData,
  });

async function answerOf(worker: Worker): Promise<unknown> {
  const [answer] = await once(worker, 'message');
  await worker.terminate();
  return answer;
}

const trainHere = (steps: number): string => {
  const train = new Function(`${TRAIN} return train;`)() as (evenkeel: unknown, steps: number) => string;
  return train(require('../../lib/index'), steps);
};

test('several workers train at once, each with the result of one alone', async () => {
  const expected = trainHere(25);
  const workers = Array.from({ length: 4 }, () => startWorker('parentPort.postMessage(train(evenkeel, 25));'));
  const answers = workers.map(answerOf);
  expect(trainHere(25)).toBe(expected);
  for (const answer of await Promise.all(answers)) expect(answer).toBe(expected);
});

test('the number of threads may change under a worker that trains', async () => {
  const expected = trainHere(60);
  const before = getNumThreads();
  const answer = answerOf(startWorker('parentPort.postMessage(train(evenkeel, 60));'));
  for (let i = 0; i < 40; i++) {
    setNumThreads(1 + (i % 3));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  setNumThreads(before);
  expect(await answer).toBe(expected);
});

test('workers that are ended while they compute leave this thread healthy', async () => {
  const expected = trainHere(5);
  for (let round = 0; round < 8; round++) {
    const workers = [1, 2].map(() => startWorker("train(evenkeel, 1e9, (step) => step === 1 && parentPort.postMessage('running'));"));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    // Ends at some point of a step, another one in each round.
    await new Promise((resolve) => setTimeout(resolve, round));
    await Promise.all(workers.map((worker) => worker.terminate()));
    expect(trainHere(5)).toBe(expected);
  }
});

test('so does a process that ends while its workers compute', async () => {
  const script = `
    const { Worker } = require('node:worker_threads');
    const evenkeel = require(${library});
    ${TRAIN}
    const worker = () => new Worker(${JSON.stringify(`const evenkeel = require(${library}); ${TRAIN} train(evenkeel, 1e9, (step) => step === 1 && require('node:worker_threads').parentPort.postMessage(1));`)}, { eval: true });
    let running = 0;
    for (const one of [worker(), worker()]) one.on('message', () => { if (++running === 2) { train(evenkeel, 3); process.exit(7); } });
  `;
  for (let round = 0; round < 5; round++) {
    await expect(promisify(execFile)(process.execPath, ['-e', script])).rejects.toMatchObject({ code: 7, signal: null });
  }
});

test('a worker computes on memory that it shares with this thread', async () => {
  const shared = (shape: number[], seed: number) => {
    const { data } = Tensor.randn(shape, { generator: new Generator(seed) });
    const view = new Float32Array(new SharedArrayBuffer(data.byteLength));
    view.set(data);
    return new Tensor(view, shape);
  };
  const [input, output] = [shared([3, 7, 5], 1), shared([3, 7, 5], 2)];
  const answer = await answerOf(
    startWorker(
      `const { Tensor, LayerNorm } = evenkeel;
       const norm = new LayerNorm({ size: 5 });
       workerData.output.set(norm.forward(new Tensor(workerData.input, [3, 7, 5])).data);
       parentPort.postMessage('done');`,
      { input: input.data, output: output.data },
    ),
  );
  expect(answer).toBe('done');
  expect([...output.data]).toEqual([...new LayerNorm({ size: 5 }).forward(input).data]);
});

test('what was transferred to a worker is refused here and works there', async () => {
  const rnn = new RNN({ inputSize: 2, hiddenSize: 3, generator: new Generator(1) });
  const input = Tensor.randn([2, 4, 2], { generator: new Generator(2) });
  const expected = [...rnn.forward(input).data];
  const worker = startWorker(
    `parentPort.once('message', (data) => {
       const { RNN, Generator, Tensor } = evenkeel;
       const rnn = new RNN({ inputSize: 2, hiddenSize: 3, generator: new Generator(1) });
       parentPort.postMessage([...rnn.forward(new Tensor(data, [2, 4, 2])).data]);
     });`,
  );
  worker.postMessage(input.data, [input.data.buffer as ArrayBuffer]);
  expectRefused(() => rnn.forward(input), 'ERR_STATE', 'Was it transferred to a worker?');
  expectRefused(() => rnn.backward(Tensor.zeros([2, 4, 3])), 'ERR_STATE', 'input of the last forward call');
  expect(await answerOf(worker)).toEqual(expected);
});
