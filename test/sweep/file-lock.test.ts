import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { lockFile } from '../../lib/sweep/file-lock';
import { useFolder } from '../cli/run-cli';
import { evenkeelError } from '../helpers/errors';

const folder = useFolder();
const path = () => join(folder.path, 'lock');

test('is held once, and again when it was given back', () => {
  const release = lockFile(path());
  expect(lockFile(path())).toBeUndefined();
  release?.();
  const again = lockFile(path());
  expect(again).toBeDefined();
  again?.();
});

test('ends with its owner, even one killed by SIGKILL whose own child lives on', async () => {
  const script = `
    const { lockFile } = require(${JSON.stringify(join(__dirname, '../../dist/sweep/file-lock.js'))});
    if (lockFile(${JSON.stringify(path())}) === undefined) process.exit(1);
    const child = require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore' });
    console.log(child.pid);
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(owner.stdout, 'data')) as [Buffer];
  expect(lockFile(path())).toBeUndefined();
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const release = lockFile(path());
  process.kill(Number(String(line)));
  expect(release).toBeDefined();
  release?.();
});

test('a path that cannot be made is an error', () => {
  expect(() => lockFile(join(folder.path, 'none', 'lock'))).toThrow(evenkeelError('ERR_FILE', 'no such file or folder'));
});
