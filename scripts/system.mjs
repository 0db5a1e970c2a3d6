// The system packages that the scripts need: told by trying them, installed by apt where that can be done, named otherwise.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Failure, probe, run, step } from './steps.mjs';

/** What the native build needs; `packages` per package manager. */
export const buildTools = [
  { name: 'a C++20 compiler', present: () => compiles(), packages: { apt: 'g++', dnf: 'gcc-c++', brew: 'gcc' } },
  { name: 'CMake 3.15 or newer', present: hasCMake, packages: { apt: 'cmake', dnf: 'cmake', brew: 'cmake' } },
  { name: 'make', present: () => onPath('make') || onPath('ninja'), packages: { apt: 'make', dnf: 'make', brew: 'make' } },
  { name: 'pkg-config', present: () => onPath('pkg-config'), packages: { apt: 'pkg-config', dnf: 'pkgconf-pkg-config', brew: 'pkgconf' } },
  {
    name: 'OpenBLAS with its headers',
    present: () => compiles('cblas.h', 'openblas'),
    packages: { apt: 'libopenblas-dev', dnf: 'openblas-devel', brew: 'openblas' },
  },
  {
    name: 'the headers of Google Highway',
    present: () => compiles('hwy/highway.h', 'libhwy'),
    packages: { apt: 'libhwy-dev', dnf: 'highway-devel', brew: 'highway' },
  },
];

const managers = [
  { name: 'apt', command: 'apt-get', install: 'sudo apt-get install -y --no-install-recommends' },
  { name: 'dnf', command: 'dnf', install: 'sudo dnf install -y' },
  { name: 'brew', command: 'brew', install: 'brew install' },
];

/** Makes sure that every requirement is present: by apt when this is root on Debian or Ubuntu, else by a Failure that says what to type. */
export async function ensureSystem(label, requirements) {
  const missing = requirements.filter((requirement) => !requirement.present());
  if (missing.length === 0) return;
  const manager = managers.find(({ command }) => onPath(command));
  if (manager?.name !== 'apt' || process.getuid?.() !== 0) throw new Failure(remedyFor(missing, manager));

  const packages = missing.map((requirement) => requirement.packages.apt);
  await step(label, `installing system packages by apt: ${packages.join(' ')}`, async () => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const patience = ['-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300'];
    const remedy = 'Is the network up? Once these packages are installed, run the command again.';
    await run('apt-get', [...patience, 'update'], { env, remedy });
    await run('apt-get', [...patience, 'install', '-y', '--no-install-recommends', ...packages], { env, remedy });
  });
  const still = missing.filter((requirement) => !requirement.present());
  if (still.length > 0) throw new Failure(`${remedyFor(still, manager)}\nIts package is installed by now, but too old or not found.`);
}

function remedyFor(missing, manager) {
  const names = missing.map((requirement) => requirement.name).join(', ');
  const commands = (manager === undefined ? managers : [manager]).map(
    ({ name, install }) => `  ${install} ${missing.map((requirement) => requirement.packages[name]).join(' ')}`,
  );
  return `Missing on this machine: ${names}. Install with\n${commands.join('\n')}\nand run the command again.`;
}

export function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)));
}

function hasCMake() {
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(probe('cmake', ['--version']) ?? '') ?? [];
  return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 15);
}

/** Whether a C++20 compiler is there and, given a header, finds it, with the help of pkg-config where the header lies elsewhere. */
function compiles(header, module) {
  const compiler = [process.env.CXX, 'c++', 'g++', 'clang++'].find((name) => name !== undefined && onPath(name));
  if (compiler === undefined) return false;
  const flags = module === undefined ? '' : (probe('pkg-config', ['--cflags-only-I', module]) ?? '');
  const source = `#include <concepts>\n${header === undefined ? '' : `#if !__has_include(<${header}>)\n#error\n#endif\n`}`;
  return probe(compiler, ['-std=c++20', '-x', 'c++', '-fsyntax-only', ...flags.split(/\s+/).filter(Boolean), '-'], source) !== undefined;
}
