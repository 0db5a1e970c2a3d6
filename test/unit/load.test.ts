import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getNumThreads, runtimeInfo, setNumThreads, Tensor } from '../../lib/index';
import { buildAgain } from '../../lib/native/find';
import { load, native, slowBlas } from '../../lib/native/load';
import packageJson from '../../package.json';
import { expectRefused } from '../helpers/errors';

const directory = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('an addon that is not there gives the remedy', () => {
  const path = join(directory, 'missing.node');
  expectRefused(() => load(path), 'ERR_NATIVE', `The native addon ${path} does not load: ENOENT`);
  expectRefused(() => load(path), 'ERR_NATIVE', buildAgain);
});

test('a file that is no addon gives the cause', () => {
  const path = join(directory, 'broken.node');
  writeFileSync(path, 'not an addon');
  expect(() => load(path)).toThrow(
    expect.objectContaining({ code: 'ERR_NATIVE', cause: expect.objectContaining({ code: 'ERR_DLOPEN_FAILED' }) }),
  );
});

test('what is no file, and what would run if it were required, is not', () => {
  expectRefused(() => load(directory), 'ERR_NATIVE', 'does not load: it is not a file');
  const pipe = join(directory, 'pipe.node');
  execFileSync('mkfifo', [pipe]);
  expectRefused(() => load(pipe), 'ERR_NATIVE', 'does not load: it is not a file');
  const script = join(directory, 'script.js');
  writeFileSync(script, 'globalThis.scriptRan = true;');
  expectRefused(() => load(script), 'ERR_NATIVE');
  expect(globalThis).not.toHaveProperty('scriptRan');
});

test('OpenBLAS starts no threads of its own, and the environment stays as it was', () => {
  const script = `const tasks = () => require('fs').readdirSync('/proc/self/task').length; const before = tasks(); e.getNumThreads(); console.log(tasks() - before, process.env.OPENBLAS_NUM_THREADS)`;
  const path = join(__dirname, '../../dist/index.js');
  const threads = (value?: string) =>
    execFileSync(process.execPath, ['-e', `const e = require(${JSON.stringify(path)}); ${script}`], {
      env: { ...process.env, OPENBLAS_NUM_THREADS: value },
      encoding: 'utf8',
    }).trim();
  expect(threads()).toBe('0 undefined');
  expect(threads('7')).toBe('0 7');
});

test('an OpenBLAS older than the processor is named with what to do', () => {
  expect(slowBlas('OpenBLAS 0.3.21 Prescott', 'avx512')).toContain('OPENBLAS_CORETYPE=SkylakeX');
  expect(slowBlas('OpenBLAS 0.3.21 Prescott', 'avx2')).toContain('OPENBLAS_CORETYPE=Haswell');
  expect(slowBlas('OpenBLAS 0.3.29 Katmai', 'avx2')).toContain('OPENBLAS_CORETYPE=Haswell');
  expect(slowBlas('OpenBLAS 0.3.21 Prescott', 'sse4')).toBeUndefined();
  expect(slowBlas('OpenBLAS 0.3.21 Zen', 'avx2')).toBeUndefined();
});

test('native errors come as EvenkeelErrors with the name of the function', () => {
  expectRefused(() => native().scale([[] as unknown as Float32Array], 1, 1), 'ERR_DTYPE', 'scale: values[0]');
  expectRefused(() => native().normTerms([new Float32Array(1)], 7 as 0, new Float64Array(1)), 'ERR_SHAPE', 'normTerms: order');
});

describe('in a process of its own', () => {
  const run = (script: string, env: Record<string, string>) =>
    execFileSync(process.execPath, ['-e', `const e = require(${JSON.stringify(join(__dirname, '../../dist/index.js'))}); ${script}`], {
      env: { ...process.env, ...env },
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();

  test('EVENKEEL_ADDON names another addon, which is loaded at the first call and not before', () => {
    const script =
      'new e.Tensor(new Float32Array(1), [1]); try { e.getNumThreads(); } catch (error) { console.log(error.code, error.message); }';
    expect(run(script, { EVENKEEL_ADDON: join(directory, 'other.node') })).toContain(
      `ERR_NATIVE The native addon ${join(directory, 'other.node')}`,
    );
  });

  test('EVENKEEL_NUM_THREADS is taken, and refused when it is no number', () => {
    expect(run('console.log(e.getNumThreads())', { EVENKEEL_NUM_THREADS: '3' })).toBe('3');
    const script = 'try { e.getNumThreads(); } catch (error) { console.log(error.name, error.code, error.message); }';
    expect(run(script, { EVENKEEL_NUM_THREADS: 'many' })).toMatch(/^EvenkeelError ERR_OPTION EVENKEEL_NUM_THREADS: .*"many"/);
  });

  test('a slow OpenBLAS is warned of once', () => {
    const script =
      'process.on("warning", ({ code }) => console.log(code)); e.getNumThreads(); e.getNumThreads(); console.log(e.runtimeInfo().simdTarget)';
    const [target, warning] = run(script, { OPENBLAS_CORETYPE: 'Prescott' }).split('\n');
    expect(warning).toBe(/^avx/.test(target as string) ? 'EVENKEEL_SLOW_BLAS' : undefined);
  });

  test('EVENKEEL_SCAN is refused when it names no strategy', () => {
    const script = 'try { e.getNumThreads(); } catch (error) { console.log(error.name, error.code, error.message); }';
    expect(run(script, { EVENKEEL_SCAN: 'panels' })).toBe('');
    expect(run(script, { EVENKEEL_SCAN: 'fast' })).toMatch(/^EvenkeelError ERR_OPTION EVENKEEL_SCAN: expected one of auto, .*"fast"/);
  });
});

test('the number of threads can be set, within bounds', () => {
  const before = getNumThreads();
  setNumThreads(3);
  expect(getNumThreads()).toBe(3);
  for (const bad of [0, 257, 1.5, '2', undefined])
    expectRefused(() => setNumThreads(bad as number), 'ERR_OPTION', 'count: expected an integer from 1 to 256');
  expect(getNumThreads()).toBe(3);
  setNumThreads(before);
});

test('runtimeInfo says what computes', () => {
  const info = runtimeInfo();
  expect(info).toMatchObject({
    version: packageJson.version,
    node: process.version,
    threads: getNumThreads(),
    blas: expect.stringContaining('OpenBLAS'),
    binary: process.env.EVENKEEL_ADDON ?? expect.stringMatching(/evenkeel\.node$/),
  });
  if (process.platform === 'linux') expect(info.libc).toMatch(/^(glibc \d|musl)/);
  expect(info.simdTargets).toContain(info.simdTarget);
  expect(info.cores).toBeGreaterThan(0);
  expect(Tensor.zeros([1]).size).toBe(1);
});
