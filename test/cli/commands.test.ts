import { checkDefinition } from '../../lib/sweep/definition';
import { runCli, useFolder } from './run-cli';

const folder = useFolder();

describe('evenkeel', () => {
  test('--help lists the commands and the exit statuses', async () => {
    const { status, stdout } = await runCli(['--help'], folder.path);
    expect(status).toBe(0);
    for (const word of ['study', 'info', 'Exit status:', '130']) expect(stdout).toContain(word);
  });

  test.each(['study', 'sweep', 'worker', 'report', 'bench', 'info', 'build', 'train', 'predict', 'evaluate'])(
    '%s --help fits a terminal and ends with the exit statuses',
    async (command) => {
      const { status, stdout } = await runCli([command, '--help'], folder.path);
      expect(status).toBe(0);
      expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^Exit status: /);
      expect(stdout.split('\n').filter((line) => line.length > 105)).toEqual([]);
    },
  );

  test('sweep --help has every key of a definition', async () => {
    const { stdout } = await runCli(['sweep', '--help'], folder.path);
    const [, keys = ''] = /Known options: (.*)\./.exec(messageOf(() => checkDefinition({ nothing: 1 }, '.'))) ?? [];
    expect(keys.split(', ')).toContain('lengths');
    for (const key of keys.split(', ')) expect(stdout).toMatch(new RegExp(`\\b${key}\\b`));
  });

  test('--version is that of the package', async () => {
    const { version } = jest.requireActual<{ version: string }>('../../package.json');
    expect(await runCli(['--version'], folder.path)).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([
    ['no command', [], 'Usage: evenkeel'],
    ['an unknown command', ['stydy'], 'Did you mean study?'],
    ['an unknown option', ['info', '--jsn'], 'Did you mean --json?'],
    ['workers of a queue', ['sweep', 'a.yaml', '--queue', 'redis://host', '--workers', '2'], "cannot be used with option '--queue [url]'"],
  ])('%s is wrong usage', async (_, args, message) => {
    expect(await runCli(args, folder.path)).toEqual({ status: 2, stdout: '', stderr: expect.stringContaining(message) });
  });
});

describe('evenkeel info', () => {
  const keys = [
    'version',
    'node',
    'platform',
    'arch',
    'cpu',
    'cores',
    'threads',
    'simdTarget',
    'simdTargets',
    'blas',
    'binary',
    'libc',
    'selfTest',
  ];

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

function messageOf(call: () => unknown): string {
  try {
    call();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
