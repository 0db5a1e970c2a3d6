// Over how many steps each cell remembers two numbers: a sweep whose trials wait in a queue on Redis or Valkey, from which workers take them. This program
// starts workers of its own; others, on any number of servers, are `npx evenkeel worker --queue <url>`. Some minutes at most.
// It takes a server, such as redis-server, and three packages: npm install @evenkeel/cli bullmq ioredis
//
//   --queue redis://127.0.0.1:6379   --workers 2   0 where all of them run elsewhere   --lengths 10,20,40   --steps 500   --out sweep-by-queue
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { addingProblem, bullmqExecutor, Generator, sweep, type TrialRecord } from 'evenkeel';

const { queue, workers, lengths, steps, out } = readOptions();
const cells = ['rnn', 'lstm', 'gru'] as const;
const command = createRequire(import.meta.url).resolve('evenkeel/cli');
const running = Array.from({ length: workers }, () =>
  spawn(process.execPath, [command, 'worker', '--workers', '1', '--queue', queue], { stdio: ['ignore', 'ignore', 'inherit'] }),
);
try {
  const { records, failed } = await sweep(
    {
      tasks: ['adding'],
      lengths,
      cells,
      seeds: [1, 2, 3],
      sizes: [{ hiddenSize: 32 }],
      clips: [{ maxNorm: 1 }],
      steps,
      learningRate: 0.01,
    },
    // Started again it goes on from here.
    { store: out, executor: bullmqExecutor({ url: queue }) },
  );
  const { baseline } = addingProblem({ sequenceLength: 10, batchSize: 1, generator: new Generator(1) });
  console.log(
    `${records.length - failed} of ${records.length} trials have a result; whoever remembers nothing has a loss of ${baseline.toFixed(3)}`,
  );
  console.log(`smallest loss, middle one of three seeds\ncell ${lengths.map((length) => `T ${length}`.padStart(9)).join('')}`);
  for (const cell of cells) {
    const losses = lengths.map((length) => middleLoss(records.filter(({ trial }) => trial.cell === cell && trial.length === length)));
    console.log(`${cell.padEnd(5)}${losses.map((loss) => loss.toFixed(5).padStart(9)).join('')}`);
  }
  console.log(`npx evenkeel report ${out} makes a page of it.`);
} finally {
  for (const worker of running) worker.kill();
}

function middleLoss(records: readonly TrialRecord[]): number {
  const losses = records.map((record) => (record.status === 'done' ? (record.measures.lossMin ?? Number.NaN) : Number.NaN));
  return losses.sort((a, b) => a - b)[losses.length >> 1] ?? Number.NaN;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      queue: { type: 'string', default: process.env.EVENKEEL_REDIS_URL ?? 'redis://127.0.0.1:6379' },
      workers: { type: 'string', default: '2' },
      lengths: { type: 'string', default: '10,20,40' },
      steps: { type: 'string', default: '500' },
      out: { type: 'string', default: 'sweep-by-queue' },
    },
  });
  const lengths = values.lengths.split(',').map(Number);
  return { ...values, lengths, workers: Number(values.workers), steps: Number(values.steps) };
}
