/** `evenkeel build`: the addon from source, on purpose, against the system's OpenBLAS. Where a binary is at hand nobody needs it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { EvenkeelError } from '../errors';
import { openAddon, ownBuild, packageRoot } from '../native/find';
import { exitStatusHelp } from './exit-status';

export const buildDescription =
  'Build the native addon from source, with the system’s OpenBLAS and Highway: for platforms without a binary, and for who wants this BLAS. Takes minutes.';

export function addBuildCommand(program: Command): void {
  program.command('build').description(buildDescription).addHelpText('after', exitStatusHelp).action(runBuild);
}

/** The headers of Node-API and of its C++ layer; compiled against, never loaded. */
const headers = { 'node-addon-api': '^8.9.0', 'node-api-headers': '^1.9.0' };

/** @throws EvenkeelError ERR_NATIVE with the remedy for what is missing, or the end of what the compiler said */
export function runBuild(): void {
  if (process.platform === 'win32') throw new EvenkeelError('ERR_NATIVE', `build: ${remedy(process.platform)}`);
  const cmake = process.env.CMAKE ?? 'cmake';
  if (run(cmake, ['--version']).status !== 0)
    throw new EvenkeelError('ERR_NATIVE', `build: expected CMake 3.15 or newer, found none. ${remedy(process.platform)}`);
  const folder = join(packageRoot, 'build', 'from-source');
  const include = headerFolders(join(packageRoot, 'build', 'headers'));
  say('configuring');
  rmSync(folder, { recursive: true, force: true });
  must(cmake, [
    '-S',
    packageRoot,
    '-B',
    folder,
    '-DCMAKE_BUILD_TYPE=Release',
    `-DCMAKE_JS_INC=${include.join(';')}`,
    `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${dirname(ownBuild)}`,
  ]);
  say('compiling, which takes minutes');
  must(cmake, ['--build', folder, '--parallel', String(Math.min(availableParallelism(), 8))]);
  const { simdTarget, blas } = openAddon(ownBuild).runtimeInfo();
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write(
    `Built ${ownBuild}: ${simdTarget}, ${blas}. It goes before the platform's package until evenkeel is installed anew.\n`,
  );
}

/** Installed by npm into a folder of the build, unless a checkout has them. */
function headerFolders(folder: string): string[] {
  const paths = [join(packageRoot, 'node_modules'), join(folder, 'node_modules')];
  const find = () => paths.find((path) => Object.keys(headers).every((name) => existsSync(join(path, name))));
  if (find() === undefined) {
    say(`fetching ${Object.keys(headers).join(' and ')} by npm`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: headers }));
    must('npm', ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  const found = find() as string;
  return [join(found, 'node-api-headers', 'include'), join(found, 'node-addon-api')];
}

function say(what: string): void {
  process.stderr.write(`evenkeel build: ${what} …\n`);
}

function run(command: string, args: readonly string[]) {
  return spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
}

function must(command: string, args: readonly string[]): void {
  const { status, stdout, stderr, error } = run(command, args);
  if (status === 0) return;
  const end = `${stdout ?? ''}${stderr ?? ''}`.trimEnd().split('\n').slice(-30).join('\n');
  throw new EvenkeelError(
    'ERR_NATIVE',
    `build: ${[command, ...args].join(' ')} failed (${error?.message ?? status}).\n${end}\n${remedy(process.platform)}`,
  );
}

/** What to type for what a build needs. */
export function remedy(platform: NodeJS.Platform): string {
  switch (platform) {
    case 'linux':
      return 'Install what it is built from and with: apt-get install g++ cmake make pkg-config libopenblas-dev libhwy-dev (Debian, Ubuntu); dnf install gcc-c++ cmake make pkgconf openblas-devel highway-devel (Fedora); apk add g++ cmake make pkgconf openblas-dev highway-dev (Alpine).';
    case 'darwin':
      return 'Install what it is built from and with: brew install cmake pkgconf openblas highway.';
    case 'win32':
      return 'evenkeel is not built from source on Windows; its binary for x64 is in @evenkeel/win32-x64: npm install --include=optional evenkeel. Or use WSL.';
    default:
      return `evenkeel is built on Linux and macOS, not on ${platform}.`;
  }
}
