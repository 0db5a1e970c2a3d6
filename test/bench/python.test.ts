import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveState } from '../../lib/io/safetensors';
import { Tensor } from '../../lib/tensor';

/** Runs without site-packages, so that the tests are the same where a framework is installed and where none is. */
const bare = ['-S', '-B'];
const bench = join(__dirname, '../../bench');
const env = { ...process.env, PYTHONPATH: bench };

let folder: string;
let dataFile: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-python-'));
  dataFile = join(folder, 'data.safetensors');
  saveState(dataFile, {
    'ln.weight': new Tensor(Float32Array.of(1.5, -2), [2]),
    input: new Tensor(Float32Array.of(1, 2, 3, 4, 5, 0.1), [1, 3, 2]),
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A driver whose timed work adds one to a counter, which is also what it measures. */
const countingDriver = (body = '', measure = 'lambda result: {"loss": result * 1.0, "norm": result * 10.0}') => `
import time
from driver_common import receive, serve
message = receive()
calls = 0
def run_once():
    global calls
    calls += 1
    time.sleep(0.001)
    return calls
def start(message, tensors):
    ${body}
    return f"counter {sorted(tensors)} {message['threads']}", run_once, ${measure}
serve(message, start)
`;

function converse(program: string[], lines: object[]): SpawnSyncReturns<string> & { answers: Record<string, unknown>[] } {
  const input = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const result = spawnSync('python3', [...bare, ...program], { input, encoding: 'utf8', env });
  const answers = result.stdout.split('\n').filter((line) => line !== '');
  return { ...result, answers: answers.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const startMessage = (work: string) => ({ trial: { id: work, work, n: 1, t: 3, i: 2, h: 2 }, threads: 3, dataFile });

describe('the line loop of the Python drivers', () => {
  test('answers the first line when it is ready, and each further line with times or, in training, the numbers of two steps', () => {
    const measure = 'lambda result: {"loss": result * 1.0, "norm": result * 10.0, "clippedNorm": 1.0}';
    const lines = [startMessage('train'), { runMs: 0 }, { measure: true }, { runMs: 20 }];
    const { answers, status } = converse(['-c', countingDriver('', measure)], lines);
    expect(status).toBe(0);
    expect(answers).toHaveLength(4);
    const [ready, once, numbers, again] = answers as [
      Record<string, unknown>,
      { timesMs: number[]; peakBytes: number },
      unknown,
      { timesMs: number[] },
    ];
    expect(ready).toEqual({ ready: true, system: "counter ['input', 'ln.weight'] 3", baseBytes: expect.any(Number) });
    expect(numbers).toEqual({ loss: 1, norm: 10, clippedNorm: 1, nextLoss: 2, nextNorm: 20 });
    expect(once.timesMs).toHaveLength(1);
    expect(once.peakBytes).toBeGreaterThanOrEqual(ready.baseBytes as number);
    expect(ready.baseBytes).toBeGreaterThan(2 ** 20);
    expect(again.timesMs.length).toBeGreaterThan(1);
    expect(again.timesMs.every((time) => time >= 0)).toBe(true);
  });

  test('makes no second step before other work', () => {
    const { answers } = converse(['-c', countingDriver()], [startMessage('forward'), { runMs: 0 }, { measure: true }]);
    expect(answers[2]).toEqual({ loss: 1, norm: 10 });
  });

  test('makes no second step where one bias stands for two', () => {
    const measure = 'lambda result: {"loss": 1.0, "norm": 2.0, "clippedNorm": 1.0, "oneBias": True}';
    const { answers } = converse(['-c', countingDriver('', measure)], [startMessage('lstm-train'), { runMs: 0 }, { measure: true }]);
    expect(answers[2]).toEqual({ loss: 1, norm: 2, clippedNorm: 1 });
  });

  test.each(['nan', 'inf'])('a measure of %s arrives as null', (value) => {
    const { answers } = converse(
      ['-c', countingDriver('', `lambda _: {"loss": float("${value}"), "norm": 1.0}`)],
      [startMessage('forward'), { runMs: 0 }, { measure: true }],
    );
    expect(answers[2]).toEqual({ loss: null, norm: 1 });
  });

  test('what else is printed, also by native code, goes to standard error', () => {
    const { answers, stderr } = converse(['-c', countingDriver('import os; print("one"); os.write(1, b"two")')], [startMessage('forward')]);
    expect(answers).toHaveLength(1);
    expect(stderr).toContain('one');
    expect(stderr).toContain('two');
  });

  test('a failure is answered, and ends the driver', () => {
    const { answers, status } = converse(['-c', countingDriver('raise MemoryError("too large")')], [startMessage('train'), { runMs: 0 }]);
    expect(answers).toEqual([{ error: 'MemoryError: too large' }]);
    expect(status).toBe(1);
  });

  test('the peak counts what was freed since', () => {
    const { answers } = converse(['-c', countingDriver('bytearray(b"x" * 2**27)')], [startMessage('forward'), { runMs: 0 }]);
    const [{ baseBytes }, { peakBytes }] = answers as [{ baseBytes: number }, { peakBytes: number }];
    expect(peakBytes - baseBytes).toBeGreaterThan(2 ** 27);
  });
});

describe('reading safetensors in Python', () => {
  const program = `
import json, sys
import driver_common
tensors = driver_common.read_safetensors(sys.argv[1])
driver_common._answer({name: [shape, list(values)] for name, (shape, values) in tensors.items()})
`;
  const read = (path: string) =>
    JSON.parse(execFileSync('python3', [...bare, '-c', program, path], { encoding: 'utf8', stdio: 'pipe', env })) as Record<
      string,
      [number[], number[]]
    >;

  test('shapes and values are those that were saved', () => {
    expect(read(dataFile)).toEqual({
      'ln.weight': [[2], [1.5, -2]],
      input: [
        [1, 3, 2],
        [1, 2, 3, 4, 5, Math.fround(0.1)],
      ],
    });
  });

  test('another element type is refused', () => {
    const path = join(folder, 'double.safetensors');
    saveState(path, { input: Tensor.zeros([2], { dtype: 'float64' }) });
    expect(() => read(path)).toThrow('expected dtype F32, got F64');
  });

  test('a file that ends too early is refused', () => {
    const path = join(folder, 'short.safetensors');
    const header = '{"input":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}';
    writeFileSync(path, Buffer.concat([Buffer.from([header.length, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(header), Buffer.alloc(8)]));
    expect(() => read(path)).toThrow('EOFError');
  });
});

test.each([
  ['torch', 'torch_driver.py', 'torch'],
  ['jax', 'jax_driver.py', 'jax'],
  ['tensorflow', 'keras_driver.py', 'keras tensorflow-cpu'],
])('without %s the answer is how to install it', (name, file, packages) => {
  const { answers, status } = converse([join(bench, file)], [startMessage('train')]);
  expect(answers).toEqual([{ error: `No module named '${name}'.`, install: expect.stringMatching(`^\\S+ -m pip install ${packages}$`) }]);
  expect(status).toBe(1);
});
