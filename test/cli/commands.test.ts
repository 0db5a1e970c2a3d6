import { runCli, useFolder } from './run-cli';

const folder = useFolder();

describe('evenkeel', () => {
  test('--help lists the commands and the exit statuses', async () => {
    const { status, stdout } = await runCli(['--help'], folder.path);
    expect(status).toBe(0);
    for (const word of ['study', 'info', 'Exit status:', '130']) expect(stdout).toContain(word);
  });

  test('--version is that of the package', async () => {
    const { version } = jest.requireActual<{ version: string }>('../../package.json');
    expect(await runCli(['--version'], folder.path)).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([
    ['no command', [], 'Usage: evenkeel'],
    ['an unknown command', ['stydy'], 'Did you mean study?'],
    ['an unknown option', ['info', '--jsn'], 'Did you mean --json?'],
  ])('%s is wrong usage', async (_, args, message) => {
    expect(await runCli(args, folder.path)).toEqual({ status: 2, stdout: '', stderr: expect.stringContaining(message) });
  });
});

describe('evenkeel info', () => {
  const keys = ['version', 'node', 'platform', 'arch', 'cpu', 'cores', 'threads', 'simdTarget', 'simdTargets', 'blas'];

  test('is text', async () => {
    const { status, stdout } = await runCli(['info'], folder.path);
    expect(status).toBe(0);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(keys);
  });

  test('--json is one object', async () => {
    const { status, stdout, stderr } = await runCli(['info', '--json'], folder.path);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(Object.keys(JSON.parse(stdout))).toEqual(keys);
    expect(JSON.parse(stdout)).toMatchObject({ node: process.version, threads: expect.any(Number), simdTargets: expect.any(Array) });
  });
});
