import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binaryPlatforms } from '../../lib/native/binary-packages';

const root = join(__dirname, '../..');
const out = mkdtempSync(join(tmpdir(), 'evenkeel-release-'));
afterAll(() => rmSync(out, { recursive: true }));

const addon = join(root, 'build/Release/evenkeel.node');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const read = (folder: string) => JSON.parse(readFileSync(join(out, folder, 'package.json'), 'utf8'));

beforeAll(() => {
  const binaries = binaryPlatforms.flatMap((platform) => ['--binary', `${platform}=${addon}`]);
  execFileSync(process.execPath, [join(root, 'scripts/release/packages.mjs'), '--out', out, ...binaries]);
});

test('each binary has a package that npm installs where it runs, and only there', () => {
  for (const platform of binaryPlatforms) {
    const [os, cpu, musl] = platform.split('-');
    const { name, version, main, scripts, dependencies, ...rest } = read(platform);
    expect({ name, version, main, scripts, dependencies }).toEqual({
      name: `@evenkeel/${platform}`,
      version: manifest.version,
      main: 'evenkeel.node',
    });
    expect(rest).toMatchObject({ os: [os], cpu: [cpu], preferUnplugged: true });
    expect(rest.libc).toEqual(os === 'linux' ? [musl === undefined ? 'glibc' : 'musl'] : undefined);
    expect(readdirSync(join(out, platform)).sort()).toEqual([
      'Apache-2.0.txt',
      'LICENSE',
      'NOTICE',
      'README.md',
      'evenkeel.node',
      'package.json',
    ]);
  }
});

test('the library depends on exactly these, has no script, and nothing that npm would build by itself', () => {
  const library = read('evenkeel');
  expect(library.optionalDependencies).toEqual(
    Object.fromEntries(binaryPlatforms.map((platform) => [`@evenkeel/${platform}`, manifest.version])),
  );
  expect(library.dependencies).toEqual(manifest.dependencies);
  expect(library).not.toHaveProperty('scripts');
  expect(library).not.toHaveProperty('devDependencies');
  expect(existsSync(join(out, 'evenkeel/binding.gyp'))).toBe(false);
  for (const file of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    'native/addon.cc',
    'CMakeLists.txt',
    'NOTICE',
    'docs/performance.md',
  ])
    expect(existsSync(join(out, 'evenkeel', file))).toBe(true);
});

test('the command line’s package brings what the commands need', () => {
  const { dependencies, bin } = read('cli');
  const { bullmq, ioredis, ...packages } = manifest.peerDependencies;
  expect(dependencies).toEqual({ evenkeel: manifest.version, ...packages });
  expect(bin).toEqual({ 'evenkeel-cli': 'index.js' });
  expect(statSync(join(out, 'cli', 'index.js')).isFile()).toBe(true);
});

test('where the sources are is said where a runner publishes from them, and nowhere else', () => {
  const script = `import(${JSON.stringify(join(root, 'scripts/release/packages.mjs'))}).then(({ addresses }) => console.log(JSON.stringify(addresses())))`;
  const say = (env: Record<string, string>) =>
    JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } }));
  expect(say({})).toEqual({});
  expect(say({ GITHUB_SERVER_URL: 'https://example.org', GITHUB_REPOSITORY: 'some/one' })).toEqual({
    repository: { type: 'git', url: 'git+https://example.org/some/one.git' },
    homepage: 'https://example.org/some/one#readme',
    bugs: { url: 'https://example.org/some/one/issues' },
  });
  for (const key of ['repository', 'homepage', 'bugs']) expect(manifest).not.toHaveProperty(key);
});

test('what a Linux binary asks for is read off it', () => {
  if (process.platform !== 'linux' || spawnSync('objdump', ['--version']).status !== 0) return;
  const script = `import(${JSON.stringify(join(root, 'scripts/release/binary-facts.mjs'))}).then(({ binaryFacts }) => console.log(JSON.stringify(binaryFacts(${JSON.stringify(addon)}))))`;
  const facts = JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }));
  expect(facts.needed).toEqual(expect.arrayContaining([expect.stringMatching(/^libc\.so|libc\.musl/)]));
  expect(facts.exported).toContain('napi_register_module_v1');
  expect(facts.hardening).toEqual(
    expect.objectContaining({ 'relocations read-only': true, 'bound at once': true, 'no search path': true }),
  );
});

test('binaries export the same on Linux and macOS', () => {
  const list = (file: string) => readFileSync(join(root, 'scripts/release', file), 'utf8');
  const [, linux] = /global: (.*)/.exec(list('exports.map')) ?? [];
  // Names have an underscore before them there.
  expect(
    list('exports-darwin.txt')
      .trim()
      .split('\n')
      .map((name) => `${name.slice(1)};`)
      .join(' '),
  ).toBe(linux);
});
