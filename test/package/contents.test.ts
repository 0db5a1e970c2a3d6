import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { binaryPlatforms } from '../../lib/native/binary-packages';
import { version } from '../../lib/version';

const root = join(__dirname, '../..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

function filesUnder(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

describe('what npm packs', () => {
  const { stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' });
  const [tarball] = JSON.parse(stdout || `[{ "files": [], "error": ${JSON.stringify(stderr)} }]`);
  const packed: string[] = tarball.files.map((file: { path: string }) => file.path);

  test('is all that an installation builds and runs from', () => {
    const needed = [
      'package.json',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'CMakeLists.txt',
      ...filesUnder('native'),
      ...filesUnder('data'),
      // what `evenkeel bench` runs beside its own drivers
      ...filesUnder('bench').filter((file) => /^bench\/[^/]*\.py$/.test(file)),
      'bench/package.json',
    ];
    const compiled = filesUnder('lib').flatMap((file) => [
      file.replace(/^lib(.*)\.ts$/, 'dist$1.js'),
      file.replace(/^lib(.*)\.ts$/, 'dist$1.d.ts'),
    ]);
    expect([...needed, ...compiled].filter((file) => !packed.includes(file))).toEqual([]);
  });

  test('is nothing else', () => {
    const known = [
      /^(package\.json|README\.md|LICENSE|NOTICE|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md|CMakeLists\.txt)$/,
      /^(native|data|examples)\//,
      /^docs\/[\w-]+\.(md|svg|json)$/,
      /^bench\/(\w+\.py|package\.json|README\.md|results\/[\w.-]+\.md)$/,
      /^dist\/.*\.(js|d\.ts)$/,
    ];
    expect(packed.filter((file) => !known.some((pattern) => pattern.test(file)))).toEqual([]);
    const orphans = packed.filter(
      (file) => file.startsWith('dist/') && !existsSync(join(root, file.replace(/^dist(.*?)(\.d\.ts|\.js)$/, 'lib$1.ts'))),
    );
    expect(orphans).toEqual([]);
  });

  test('has what its documents link to', () => {
    for (const document of packed.filter((file) => /^(README|SECURITY|docs\/[\w-]+)\.md$/.test(file))) {
      const text = readFileSync(join(root, document), 'utf8');
      const links = [...text.matchAll(/\]\((?![a-z]+:|#)([^)#]+)/g)].map((match) => posix.join(posix.dirname(document), match[1] ?? ''));
      expect(links.filter((link) => !packed.some((file) => file === link || file.startsWith(`${link.replace(/\/$/, '')}/`)))).toEqual([]);
    }
  });

  test('has every file that package.json points to', () => {
    const targets = [
      manifest.main,
      manifest.types,
      ...Object.values(manifest.bin),
      ...Object.values(manifest.exports['.']),
      ...Object.values(manifest.exports['./cli']),
    ] as string[];
    expect(targets.map((target) => target.replace(/^\.\//, '')).filter((target) => !packed.includes(target))).toEqual([]);
  });

  test('stays small', () => {
    expect(tarball.size).toBeLessThan(1_040_000);
  });
});

test('every package that lib/ imports is a dependency, and every dependency is used', () => {
  const sources = filesUnder('lib')
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const imported = [...sources.matchAll(/(?:from|import\(|require\(|importOptional(?:<\w+>)?\()\s*'((?:@[\w.-]+\/)?[\w.-]+)[^']*'/g)].map(
    (match) => match[1] ?? '',
  );
  const packages = [...new Set(imported.filter((name) => !name.startsWith('.') && !name.startsWith('node')))];
  // Optional packages are peers: whoever uses them installs them. The binaries' packages are added when a release is packed.
  const binaries = binaryPlatforms.map((platform) => `@evenkeel/${platform}`);
  expect(
    Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
      .concat(binaries)
      .sort(),
  ).toEqual(packages.sort());
});

test('what the library itself depends on has no dependencies, and nothing that is installed runs a script', () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  for (const name of Object.keys(manifest.dependencies)) {
    expect(lock[`node_modules/${name}`].dependencies).toBeUndefined();
    expect(lock[`node_modules/${name}`].hasInstallScript).toBeUndefined();
  }
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare'];
  expect(hooks.filter((hook) => hook in manifest.scripts)).toEqual([]);
  // npm would run node-gyp where it finds one.
  expect(existsSync(join(root, 'binding.gyp'))).toBe(false);
});

test('optional packages are never downloaded unasked, and no bundler finds a name to follow', () => {
  for (const name of Object.keys(manifest.peerDependencies)) expect(manifest.peerDependenciesMeta[name]).toEqual({ optional: true });
  const compiled = filesUnder('dist').filter(
    (file) => file.endsWith('.js') && !file.startsWith('dist/cli/') && !file.startsWith('dist/bench/'),
  );
  const followed = compiled.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/\b(?:require|import)\(\s*["']([^."'][^"']*)["']/g)].map((match) => match[1] ?? ''),
  );
  const known = [...Object.keys(manifest.dependencies), ...binaryPlatforms.map((platform) => `@evenkeel/${platform}`)];
  const foreign = followed.filter((name) => !name.startsWith('node:') && !known.some((own) => name === own || name.startsWith(`${own}/`)));
  expect(foreign).toEqual([]);
});

test('the version of the code is that of the package', () => {
  expect(version).toBe(manifest.version);
});
