import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../../lib/io/atomic-file';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  path = join(folder, 'result.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (target: string, contents: string | Iterable<Uint8Array> = 'new') => writeFileAtomic(target, contents);

test('writes text as UTF-8, and pieces one after another', () => {
  write(path, 'é\n');
  expect(readFileSync(path)).toEqual(Buffer.from([0xc3, 0xa9, 0x0a]));
  write(path, [Buffer.from('one '), new Uint8Array(0), Buffer.from('two')]);
  expect(readFileSync(path, 'utf8')).toBe('one two');
  write(path, '');
  expect(readFileSync(path, 'utf8')).toBe('');
  expect(readdirSync(folder)).toEqual(['result.json']);
});

test('the old file stays whole until the last piece is written, and a reader that has it open keeps it', () => {
  writeFileSync(path, 'old');
  const inode = statSync(path).ino;
  write(
    path,
    (function* () {
      yield Buffer.from('ne');
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(readdirSync(folder)).toHaveLength(2);
      yield Buffer.from('w');
    })(),
  );
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).ino).not.toBe(inode);
});

test('a failure on the way leaves the old file untouched and nothing else behind', () => {
  writeFileSync(path, 'old');
  const failing = (function* () {
    yield Buffer.from('half');
    throw new Error('the pieces ran out');
  })();
  expect(() => write(path, failing)).toThrow('the pieces ran out');
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['result.json']);
});

test('keeps the mode of the file it replaces', () => {
  for (const mode of [0o640, 0o600, 0o755]) {
    writeFileSync(path, 'old');
    chmodSync(path, mode);
    write(path);
    expect((statSync(path).mode & 0o777).toString(8)).toBe(mode.toString(8));
  }
});

test('a new file gets the mode that the umask leaves', () => {
  const before = process.umask(0o027);
  try {
    write(path);
  } finally {
    process.umask(before);
  }
  expect((statSync(path).mode & 0o777).toString(8)).toBe('640');
});

test('writes through symbolic links to the file they mean, there or not', () => {
  mkdirSync(join(folder, 'deep'));
  symlinkSync('deep/second', join(folder, 'first'));
  symlinkSync('../result.json', join(folder, 'deep', 'second'));
  for (const contents of ['creates', 'replaces']) {
    write(join(folder, 'first'), contents);
    expect(readFileSync(path, 'utf8')).toBe(contents);
  }
  expect(lstatSync(join(folder, 'first')).isSymbolicLink()).toBe(true);
  expect(readlinkSync(join(folder, 'deep', 'second'))).toBe('../result.json');
});

test('resolves a dangling link from where its folder really is', () => {
  mkdirSync(join(folder, 'a', 'real'), { recursive: true });
  symlinkSync('a/real', join(folder, 'shortcut'));
  symlinkSync('../target', join(folder, 'a', 'real', 'link'));
  write(join(folder, 'shortcut', 'link'));
  expect(readFileSync(join(folder, 'a', 'target'), 'utf8')).toBe('new');
});

test('takes a name as long as the file system allows', () => {
  const long = join(folder, 'n'.repeat(255));
  write(long);
  expect(readFileSync(long, 'utf8')).toBe('new');
});

test('takes a path relative to the working directory', () => {
  const before = process.cwd();
  process.chdir(folder);
  try {
    write('plain');
  } finally {
    process.chdir(before);
  }
  expect(readFileSync(join(folder, 'plain'), 'utf8')).toBe('new');
});

test.each<[string, () => string, string, string]>([
  ['a folder that is not there', () => join(folder, 'missing', 'x'), 'ENOENT', 'There is no such file or folder'],
  ['a folder that is a file', () => join(__filename, 'x'), 'ENOTDIR', 'is a file, not a folder'],
  ['a name that is too long', () => join(folder, 'n'.repeat(256)), 'ENAMETOOLONG', 'Choose a shorter one'],
])('refuses %s, and keeps the cause', (_, target, cause, message) => {
  expect(() => write(target())).toThrow(
    expect.objectContaining({
      code: 'ERR_FILE',
      message: expect.stringContaining(message),
      cause: expect.objectContaining({ code: cause }),
    }),
  );
  expect(readdirSync(folder)).toEqual([]);
});

test.each<[string, () => string, string]>([
  ['a directory', () => folder, 'got a directory'],
  ['a device', () => '/dev/null', 'got a pipe or device'],
])('refuses %s instead of renaming over it', (_, target, message) => {
  const before = statSync(target()).ino;
  expect(() => write(target())).toThrow(expect.objectContaining({ code: 'ERR_FILE', message: expect.stringContaining(message) }));
  expect(statSync(target()).ino).toBe(before);
});

test('refuses links that go round in a circle', () => {
  symlinkSync('b', join(folder, 'a'));
  symlinkSync('a', join(folder, 'b'));
  expect(() => write(join(folder, 'a'))).toThrow(expect.objectContaining({ code: 'ERR_FILE', message: expect.stringContaining('circle') }));
});

test('refuses a write-protected file, which the folder alone would let it replace', () => {
  writeFileSync(path, 'old', { mode: 0o444 });
  expect(asUnprivileged(() => write(path))).toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining('Permission is denied') });
  expect(readFileSync(path, 'utf8')).toBe('old');
});

test('refuses a folder that it may not write to', () => {
  chmodSync(folder, 0o555);
  expect(asUnprivileged(() => write(path))).toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining('Permission is denied') });
  expect(readdirSync(folder)).toEqual([]);
});

/** What `action` throws for a user who owns the folder but is not root, whom no mode stops. */
function asUnprivileged(action: () => void): unknown {
  const nobody = 65534;
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    for (const owned of [folder, ...readdirSync(folder).map((name) => join(folder, name))]) chownSync(owned, nobody, nobody);
    process.seteuid?.(nobody);
  }
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

test('a link is replaced where it may come from someone else: its target stays', () => {
  const target = join(folder, 'target');
  writeFileSync(target, 'precious');
  symlinkSync(target, path);
  writeFileAtomic(path, 'new', 'replace');
  expect(readFileSync(target, 'utf8')).toBe('precious');
  expect(lstatSync(path).isSymbolicLink()).toBe(false);
  expect(readFileSync(path, 'utf8')).toBe('new');
});

test('what killed writers left is removed when it is old; a write at work, and files of others, stay', () => {
  const old = new Date(Date.now() - 2 * 3_600_000);
  const leftOver = `.evenkeel-${'0a'.repeat(8)}.tmp`;
  const others = [`.evenkeel-${'1b'.repeat(8)}.tmp`, '.evenkeel-notes.tmp', `evenkeel-${'0a'.repeat(8)}.tmp`];
  for (const name of [leftOver, ...others]) writeFileSync(join(folder, name), 'half');
  for (const name of [leftOver, ...others.slice(1)]) utimesSync(join(folder, name), old, old);
  symlinkSync(path, join(folder, `.evenkeel-${'2c'.repeat(8)}.tmp`));
  write(path);
  expect(readdirSync(folder).sort()).toEqual([...others, `.evenkeel-${'2c'.repeat(8)}.tmp`, 'result.json'].sort());
});
