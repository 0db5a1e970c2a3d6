// A release: checks, packs and, without --dry-run, publishes all packages.
//   npm run release -- --dry-run [--platforms linux-x64,win32-x64]
// A binary that is not in build-release/PLATFORM yet is built by scripts/release/binary.sh.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import nodeApi from 'node-api-headers';
import { Failure, root, runScript } from '../steps.mjs';
import { binaryFacts } from './binary-facts.mjs';
import { machFacts } from './mach-o.mjs';
import { addresses, stagePackages } from './packages.mjs';
import { peFacts } from './pe.mjs';

const folder = join(root, 'build-release');
const every = ['linux-x64', 'linux-arm64', 'linux-x64-musl', 'win32-x64', 'darwin-arm64', 'darwin-x64'];
const limits = { binary: 10e6, library: 1.5e6 };
/** What is read off a binary of each system: its facts, which libraries a user has, and what else is to be said of it. */
const readers = { linux: readLinux, darwin: readDarwin, win32: readWindows };

await runScript(async () => {
  const { values } = parseArgs({ options: { 'dry-run': { type: 'boolean', default: false }, platforms: { type: 'string' } } });
  const isTrial = values['dry-run'];
  const built = every.filter((name) => existsSync(fileOf(name)));
  const platforms = values.platforms?.split(',') ?? (built.length > 0 ? built : ['linux-x64']);
  for (const name of platforms) if (!every.includes(name)) throw new Failure(`--platforms: ${name} is none of ${every.join(', ')}`);
  run('npm', ['run', '--silent', 'setup']);
  checkVersions();
  checkUnreleased(isTrial);
  checkNotice();
  const binaries = {};
  for (const platform of platforms) {
    if (!existsSync(fileOf(platform))) run(join(root, 'scripts/release/binary.sh'), [platform]);
    binaries[platform] = fileOf(platform);
    checkBinary(platform);
  }
  const without = every.filter((name) => !platforms.includes(name));
  if (without.length > 0) console.log(`no package for ${without.join(', ')}: there users build from source`);
  const packages = stagePackages(join(folder, 'packages'), binaries);
  const tarballs = Object.entries(packages).map(([name, path]) => pack(name, path));
  const library = tarballs.find(({ name }) => name === 'evenkeel').file;
  run(join(root, 'node_modules/.bin/publint'), ['run', library, '--strict']);
  run(join(root, 'node_modules/.bin/attw'), [library, '--no-color', '--no-emoji', '--format', 'ascii', '--exclude-entrypoints', 'cli']);
  console.log('publint and attw find nothing');
  provenance(isTrial);
  for (const { name, file } of tarballs) {
    if (isTrial) console.log(`would publish ${name}: npm publish --provenance --access public ${file}`);
    else run('npm', ['publish', '--provenance', '--access', 'public', file]);
  }
});

function fileOf(platform) {
  return join(folder, platform, 'evenkeel.node');
}

function run(command, args, cwd = root) {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Failure(`${stdout ?? ''}\n${command} ${args.join(' ')} failed (${error?.message ?? status})`);
  return stdout.trim();
}

function checkVersions() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const inCode = /version = '(.*)'/.exec(readFileSync(join(root, 'lib/version.ts'), 'utf8'))?.[1];
  const versions = { 'package-lock.json': packages[''].version, 'lib/version.ts': inCode };
  for (const [file, other] of Object.entries(versions))
    if (other !== version) throw new Failure(`${file} has version ${other}, package.json ${version}`);
  if (!readFileSync(join(root, 'CHANGELOG.md'), 'utf8').includes(`\n## [${version}]`))
    throw new Failure(`CHANGELOG.md has no entry for ${version}`);
  console.log(`version ${version} in package.json, package-lock.json, lib/version.ts and CHANGELOG.md`);
}

/** Its readers look for what is new under the version's own heading. */
function checkUnreleased(isTrial) {
  const newest = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').split('\n## ')[1];
  if (!newest.startsWith('[Unreleased]') || newest.trim() === '[Unreleased]') return;
  const problem = 'CHANGELOG.md has entries under [Unreleased], which this release would hold: they belong under its version';
  if (!isTrial) throw new Failure(problem);
  console.log(`to be done before: ${problem}`);
}

/** What is linked in asks to be named. */
function checkNotice() {
  const notice = readFileSync(join(root, 'NOTICE'), 'utf8');
  for (const part of ['OpenBLAS', 'Highway', 'node-addon-api', 'GCC Runtime Library Exception', 'LLVM Exceptions', 'mingw-w64'])
    if (!notice.includes(part)) throw new Failure(`NOTICE does not name ${part}`);
  console.log('NOTICE names OpenBLAS, Highway, node-addon-api, and the runtimes of GCC, LLVM and mingw-w64');
}

function checkBinary(platform) {
  const { hardening, needed, usual, exported, says } = readers[platform.split('-')[0]](platform);
  const missing = Object.entries(hardening).filter(([, holds]) => !holds);
  if (missing.length > 0) throw new Failure(`${platform}: not hardened: ${missing.map(([name]) => name).join(', ')}`);
  const foreign = needed.filter((name) => !usual.test(name));
  if (foreign.length > 0) throw new Failure(`${platform}: needs ${foreign.join(', ')}, which a user may not have`);
  const wanted = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
  const absent = wanted.filter((name) => !exported.includes(name));
  if (absent.length > 0) throw new Failure(`${platform}: does not export ${absent.join(', ')}`);
  const extra = exported.filter((name) => !wanted.includes(name));
  if (extra.length > 0) throw new Failure(`${platform}: exports ${extra.slice(0, 5).join(', ')}`);
  const { size } = statSync(fileOf(platform));
  console.log(`${platform}: ${[megabytes(size), ...says, `needs ${needed.join(', ')}`].join(', ')}; ${Object.keys(hardening).join(', ')}`);
}

function readLinux(platform) {
  const { glibc, ...facts } = binaryFacts(fileOf(platform));
  if (glibc !== undefined && glibc[1] > 28) throw new Failure(`${platform}: needs glibc ${glibc.join('.')}, 2.28 at most is wanted`);
  const says = [glibc === undefined ? 'no glibc' : `glibc ${glibc.join('.')} or newer`];
  return { ...facts, usual: /^(lib(c|m|pthread|dl|rt)\.so|ld-linux|libc\.musl)/, says };
}

function readDarwin(platform) {
  const { processor, minimum, exported, lookedUp, signature, ...facts } = machFacts(fileOf(platform));
  if (`darwin-${processor}` !== platform) throw new Failure(`${platform}: is of ${processor}`);
  if (minimum[0] > 12) throw new Failure(`${platform}: needs macOS ${minimum.join('.')}, 12 at most is wanted`);
  // What the linker did not find in libSystem is looked up when the addon is loaded: Node has Node-API, and nothing else that is wanted.
  const { js_native_api_symbols, node_api_symbols } = nodeApi.symbols.v8;
  const inNode = new Set([...js_native_api_symbols, ...node_api_symbols]);
  const unknown = withoutUnderscore(lookedUp).filter((name) => !inNode.has(name));
  if (unknown.length > 0) throw new Failure(`${platform}: nothing has ${unknown.slice(0, 5).join(', ')}`);
  if (signature !== undefined) throw new Failure(`${platform}: its signature: ${signature}`);
  const says = [`macOS ${minimum.join('.')} or newer`, 'signed ad hoc'];
  return { ...facts, exported: withoutUnderscore(exported), usual: /^\/usr\/lib\/libSystem\.B\.dylib$/, says };
}

/** macOS has one before each name of C. */
function withoutUnderscore(names) {
  return names.map((name) => name.slice(1));
}

function readWindows(platform) {
  const { processor, time, exported, ...facts } = peFacts(fileOf(platform));
  if (`win32-${processor}` !== platform) throw new Failure(`${platform}: is of ${processor}`);
  if (time !== 0) throw new Failure(`${platform}: says when it was linked, and would differ each time`);
  return {
    ...facts,
    // libunwind marks its functions as exported; by their names alone Windows binds nothing to them.
    exported: exported.filter((name) => !/^(_Unwind_|unw_|_GCC_specific_handler$)/.test(name)),
    // Node-API is in none of them: native/binding/host.cc finds it.
    usual: /^(kernel32|msvcrt|api-ms-win-core-synch-l1-2-0)\.dll$/i,
    says: [],
  };
}

function pack(name, path) {
  const [{ filename, size, unpackedSize }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], path));
  const limit = name.startsWith('@evenkeel/') ? limits.binary : limits.library;
  if (size > limit) throw new Failure(`${name}: ${size} bytes packed, ${limit} at most are wanted`);
  console.log(`${name}: ${megabytes(size)} packed, ${megabytes(unpackedSize)} unpacked`);
  return { name, file: join(folder, filename) };
}

function megabytes(bytes) {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

/** From what it was made; npm signs it where a public runner publishes. */
function provenance(isTrial) {
  const { repository } = addresses();
  if (repository === undefined && !isTrial)
    throw new Failure(
      'npm signs where a package comes from on a public runner alone: push a tag, and .github/workflows/release.yml publishes',
    );
  console.log(`repository, homepage and bugs: ${repository?.url ?? 'of the runner that publishes; here none is known'}`);
  const isClean = run('git', ['status', '--porcelain']) === '';
  if (!isClean && !isTrial) throw new Failure('there are changes that are not committed: nobody could make these packages again');
  const changes = isClean ? '' : ', with changes that are not committed';
  console.log(
    `made from commit ${run('git', ['rev-parse', 'HEAD'])}${changes}; OpenBLAS by checksum, zig by version: see scripts/release/binary.sh`,
  );
  console.log(`${run('g++', ['--version']).split('\n')[0]}; ${run('cmake', ['--version']).split('\n')[0]}; Node ${process.version}`);
}
