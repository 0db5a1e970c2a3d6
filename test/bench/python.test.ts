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
const countingDriver = (body = '') => `
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
    return f"counter {sorted(tensors)} {message['threads']}", run_once, lambda result: (result * 1.0, result * 10.0)
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
  test('answers the first line with the numbers of the first two training steps, and each further line with times', () => {
    const { answers, status } = converse(['-c', countingDriver()], [startMessage('train'), { runMs: 0 }, { runMs: 20 }]);
    expect(status).toBe(0);
    expect(answers).toHaveLength(3);
    const [ready, once, again] = answers as [Record<string, unknown>, { timesMs: number[]; peakBytes: number }, { timesMs: number[] }];
    expect(ready).toEqual({
      ready: true,
      system: "counter ['input', 'ln.weight'] 3",
      ...{ loss: 1, norm: 10, nextLoss: 2, nextNorm: 20 },
      firstCallMs: expect.any(Number),
      baseBytes: expect.any(Number),
    });
    expect(once.timesMs).toHaveLength(1);
    expect(once.peakBytes).toBeGreaterThanOrEqual(ready.baseBytes as number);
    expect(ready.baseBytes).toBeGreaterThan(2 ** 20);
    expect(again.timesMs.length).toBeGreaterThan(1);
    expect(again.timesMs.every((time) => time >= 0)).toBe(true);
  });

  test('makes no second step before other work', () => {
    const { answers } = converse(['-c', countingDriver()], [startMessage('forward')]);
    expect(answers[0]).toMatchObject({ loss: 1, norm: 10 });
    expect(answers[0]).not.toHaveProperty('nextLoss');
  });

  test.each(['nan', 'inf'])('a measure of %s arrives as null', (value) => {
    const { answers } = converse(
      ['-c', countingDriver(`return "", run_once, lambda _: (float("${value}"), 1.0)`)],
      [startMessage('forward')],
    );
    expect(answers).toMatchObject([{ loss: null, norm: 1 }]);
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
  ['torch', 'torch_driver.py'],
  ['jax', 'jax_driver.py'],
])('without %s the answer is how to install it', (name, file) => {
  const { answers, status } = converse([join(bench, file)], [startMessage('train')]);
  expect(answers).toEqual([{ error: `No module named '${name}'.`, install: expect.stringMatching(`^\\S+ -m pip install ${name}$`) }]);
  expect(status).toBe(1);
});
