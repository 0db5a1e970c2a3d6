import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeOrigin } from '../../lib/native/load';
import { version } from '../../lib/version';

// The compiled package alone, as where the library is installed and the command line's packages are not.
const root = mkdtempSync(join(tmpdir(), 'evenkeel-alone-'));
beforeAll(() => cpSync(join(__dirname, '../../dist'), join(root, 'evenkeel/dist'), { recursive: true }));
afterAll(() => rmSync(root, { recursive: true }));

function run(args: string[], env: Record<string, string> = {}, cwd = root) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'evenkeel/dist/cli/main.js'), ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

test.each(['study', 'sweep', 'worker', 'report', 'bench'])('%s says what to install', (command) => {
  const { status, stdout, stderr } = run([command, '--out', 'x']);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(`evenkeel ${command} is not installed: only the library is.`);
  expect(stderr).toContain('npm install @evenkeel/cli');
});

test('fit says what its page needs, before the first step', () => {
  mkdirSync(join(root, 'node_modules'));
  for (const name of ['csv-parse', 'workerpool', 'yaml'])
    symlinkSync(join(__dirname, '../../node_modules', name), join(root, 'node_modules', name));
  const script = `
    const { fit, Linear, mseLoss, SGD, Tensor } = require('./evenkeel/dist/index.js');
    const model = new Linear({ inputSize: 1, outputSize: 1 });
    const batches = [{ input: Tensor.zeros([1, 1]), target: Tensor.zeros([1, 1]) }];
    const options = { loss: mseLoss, optimizer: new SGD(model.parameters(), { learningRate: 1 }), page: 'page.html' };
    fit(model, batches, { ...options, onStep: () => console.log('a step') }).catch(({ code, message }) => console.log(code, message));`;
  const env = { ...process.env, EVENKEEL_ADDON: nativeOrigin() };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8', env });
  expect([stdout, stderr]).toEqual([
    'ERR_STATE Charts need the packages @observablehq/plot and linkedom. Install them: npm install @evenkeel/cli\n',
    '',
  ]);
  expect(existsSync(join(root, 'page.html'))).toBe(false);
});

test('no command, an unknown one and unknown options are wrong usage', () => {
  for (const args of [[], ['stydy'], ['info', '--jsn'], ['build', 'x']])
    expect(run(args)).toEqual({ status: 2, stdout: '', stderr: expect.stringContaining('Usage: evenkeel') });
});

test('--version and --help', () => {
  expect(run(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  expect(run(['--help']).stdout).toContain('npm install @evenkeel/cli');
});

test('info works, with its test of the binary', () => {
  const { status, stdout, stderr } = run(['info', '--json'], { EVENKEEL_ADDON: nativeOrigin() });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ binary: nativeOrigin(), selfTest: { passed: true } });
});

test('info without a binary names what was looked for, and exits with 1', () => {
  const { status, stderr } = run(['info'], { EVENKEEL_ADDON: '' });
  expect(status).toBe(1);
  expect(stderr).toContain('evenkeel finds no native addon for');
});

test('build without CMake says what to install', () => {
  const { status, stderr } = run(['build'], { CMAKE: join(root, 'no-cmake') });
  expect(status).toBe(1);
  expect(stderr).toMatch(/build: expected CMake 3\.15 or newer, found none\. Install .*(apt-get|brew) install/);
});

test('where the project has @evenkeel/cli, that is handed the command', () => {
  const project = join(root, 'project');
  mkdirSync(join(project, 'node_modules/@evenkeel/cli'), { recursive: true });
  writeFileSync(join(project, 'node_modules/@evenkeel/cli/index.js'), 'console.log("handed", process.argv.slice(2).join())');
  expect(run(['study', '--json'], {}, project)).toEqual({ status: 0, stdout: 'handed study,--json\n', stderr: '' });
});
