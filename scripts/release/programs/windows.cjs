// What meets the system otherwise than on POSIX: files that are replaced while they are open, locks, threads that end, processes.
const assert = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync, mkdirSync, readFileSync, rmSync } = require('node:fs');
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');
const e = require('evenkeel');

const folder = join(__dirname, 'files of a run');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const inFolder = (name) => join(folder, name);

function trained() {
  const generator = new e.Generator(1);
  const model = new e.Sequential({
    lstm: new e.LSTM({ inputSize: 2, hiddenSize: 16, returnSequences: false, generator }),
    head: new e.Linear({ inputSize: 16, outputSize: 1, generator }),
  });
  const task = e.addingProblem({ batchSize: 16, sequenceLength: 12, batches: 20, generator });
  const validation = e.addingProblem({ batchSize: 16, sequenceLength: 12, batches: 2, generator: new e.Generator(2) });
  const optimizer = new e.Adam(model.parameters(), { learningRate: 0.01 });
  return { generator, model, task, validation, optimizer };
}

/** With checkpoints, and a log whose columns change on the way, for which its file is replaced. */
async function train({ epochs, resume, name }) {
  const { generator, model, task, validation, optimizer } = trained();
  const csv = new e.CsvLog(inFolder(`${name}.csv`), { append: resume });
  const board = new e.TensorBoardLog(inFolder(`${name}-board`));
  await e.fit(model, task, {
    loss: e.mseLoss,
    optimizer,
    generator,
    epochs,
    resume,
    validation: { batches: validation, every: 2 },
    checkpoint: { path: inFolder(`${name}.safetensors`), every: 7, keep: 3 },
    onEpoch: (record) => {
      csv.onEpoch(record);
      board.onEpoch(record);
    },
  });
  csv.close();
  board.close();
  return model;
}

const weights = (model) => model.parameters().flatMap(({ value }) => [...value.data]);

async function main() {
  const whole = await train({ epochs: 4, resume: false, name: 'whole' });
  await train({ epochs: 2, resume: false, name: 'parts' });
  const resumed = await train({ epochs: 4, resume: true, name: 'parts' });
  assert.deepEqual(weights(resumed), weights(whole));
  for (const name of ['parts.safetensors', 'parts.1.safetensors', 'parts.2.safetensors']) assert(existsSync(inFolder(name)), name);
  const columns = (name) =>
    readFileSync(inFolder(name), 'utf8')
      .split('\n')
      .map((row) => row.split(',')[0]);
  assert.deepEqual(columns('parts.csv'), columns('whole.csv'));
  console.log('fit, checkpoints, resuming, CsvLog, TensorBoardLog: the same bits');

  e.saveModel(inFolder('model.safetensors'), whole);
  e.saveModel(inFolder('model.safetensors'), whole);
  assert.deepEqual(weights(e.loadModel(inFolder('model.safetensors'))), weights(whole));
  assert.throws(() => e.loadModel(inFolder('none.safetensors')), /There is no such file or folder/);
  assert.throws(() => e.loadModel(folder), { code: 'ERR_FILE' });
  console.log('saveModel, loadModel: the same bits');

  // Threads that load the addon and end; then it is still there for the next.
  const inThread = `const e = require('evenkeel'); const layer = new e.RNN({ inputSize: 64, hiddenSize: 128 }); layer.forward(e.Tensor.randn([64, 20, 64]));`;
  for (let round = 0; round < 3; round++) await Promise.all([1, 2].map(() => ended(new Worker(inThread, { eval: true }))));
  const dying = new Worker(`${inThread} for (;;) layer.forward(e.Tensor.randn([64, 20, 64]));`, { eval: true });
  await new Promise((resolve) => setTimeout(resolve, 500));
  await dying.terminate();
  console.log('worker_threads: loaded, ended, terminated');

  // The environment as it is when the addon is loaded, and an end in the middle of what threads do.
  const run = (text, env) =>
    execFileSync(process.execPath, ['-e', text], { env: { ...process.env, ...env }, encoding: 'utf8', cwd: __dirname });
  assert.equal(run(`process.env.EVENKEEL_NUM_THREADS = '3'; console.log(require('evenkeel').getNumThreads())`).trim(), '3');
  assert.equal(run(`console.log(require('evenkeel').runtimeInfo().simdTarget)`, { EVENKEEL_SIMD: 'baseline' }).trim(), 'baseline');
  run(`${inThread} process.exit()`, { EVENKEEL_NUM_THREADS: '8' });
  console.log('environment, process.exit: as wanted');

  await locksBetweenProcesses();
  console.log('a lock between processes: held, and free when its owner is killed');

  const definition = { lengths: [10, 20], tasks: ['adding'], seeds: [1, 2], steps: 5, sizes: [{ hiddenSize: 4 }] };
  const running = e.sweep(definition, { store: inFolder('sweep') });
  await assert.rejects(e.sweep(definition, { store: inFolder('sweep') }), { code: 'ERR_STATE' });
  const { records } = await running;
  assert.deepEqual(
    records.map(({ status }) => status),
    ['done', 'done', 'done', 'done'],
  );
  console.log('sweep in processes of its own, with its folder locked: done');
}

async function locksBetweenProcesses() {
  const module = join(__dirname, 'node_modules/evenkeel/dist/sweep/file-lock.js');
  const { lockFile } = require(module);
  const path = inFolder('lock');
  const script = `const unlock = require(${JSON.stringify(module)}).lockFile(${JSON.stringify(path)}); console.log(typeof unlock); setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await once(owner.stdout, 'data');
  assert.equal(String(said).trim(), 'function');
  assert.equal(lockFile(path), undefined);
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const unlock = lockFile(path);
  assert.equal(typeof unlock, 'function');
  unlock();
}

function ended(worker) {
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a thread ended with ${code}`))));
  });
}

main();
