// All that can be told about the sources without running them; with --write, formats them instead.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { capture, Failure, filesUnder, probe, root, run, runScript, say, step } from './steps.mjs';
import { ensureSystem } from './system.mjs';

const bin = (name) => join(root, 'node_modules/.bin', name);
const cppFiles = filesUnder('native').filter((file) => /\.(cc|h)$/.test(file));

// Another version of clang-format formats otherwise, so there is one: the one of Debian 12.
const clangVersion = 14;
const clangTools = ['clang-format', 'clang-tidy'].map((tool) => ({
  name: `${tool} ${clangVersion}`,
  present: () => clang(tool) !== undefined,
  packages: { apt: `${tool}-${clangVersion}`, dnf: 'clang-tools-extra', brew: `llvm@${clangVersion}` },
}));

const tidyOptions = [
  // One SIMD target stands for all: the others are the same text, compiled again.
  '-DHWY_COMPILE_ONLY_STATIC',
  // As many states of a function as the analyzer's shallow mode follows: N-API's exceptions branch at each call, and fill whatever there is.
  ...['-Xclang', '-analyzer-config', '-Xclang', 'max-nodes=75000'],
];

await runScript(async () => {
  await ensureSystem('lint', clangTools);
  await (process.argv.includes('--write') ? write() : check());
});

/** The command that runs the one version of a clang tool. */
function clang(tool) {
  const right = new RegExp(`version ${clangVersion}\\.`);
  return [`${tool}-${clangVersion}`, tool].find((command) => right.test(probe(command, ['--version']) ?? ''));
}

async function write() {
  await step('format', 'biome', () => run(bin('biome'), ['check', '--write', '--error-on-warnings']));
  await step('format', 'clang-format', () => run(clang('clang-format'), ['-i', ...cppFiles]));
}

async function check() {
  const checks = [
    ['biome', () => capture(bin('biome'), ['check', '--error-on-warnings', '--max-diagnostics=200'])],
    ['types of lib', () => capture(bin('tsc'), ['--noEmit', '--incremental', 'false'])],
    ['types of test and examples', () => capture(bin('tsc'), ['-p', 'test'])],
    ['clang-format', () => capture(clang('clang-format'), ['--dry-run', '-Werror', ...cppFiles])],
    ['clang-tidy', clangTidy],
  ];
  let failed = 0;
  // The last takes most of the time, and leaves processors idle at its end.
  const last = checks.at(-1)[1]();
  for (const [name, work] of checks) {
    say(`lint: ${name} … `);
    const { status, output } = await (name === checks.at(-1)[0] ? last : work());
    say(status === 0 ? 'passed\n' : `failed\n${output}\n`);
    if (status !== 0) failed++;
  }
  say(`lint: ${checks.length - failed} passed, ${failed} failed\n`);
  if (failed > 0) throw new Failure('What can be mended by formatting: npm run format');
}

/** Runs on every source that the last build compiled, as many at once as there are processors. */
async function clangTidy() {
  const files = JSON.parse(readFileSync(join(root, 'build/compile_commands.json'), 'utf8')).map((entry) => entry.file);
  // Those that take longest first, from the end of the list: the kernels, and what has N-API's exceptions in it.
  const isLong = (file) => /native\/(kernels|binding)\//.test(file);
  files.sort((a, b) => Number(isLong(a)) - Number(isLong(b)));
  const command = clang('clang-tidy');
  const outputs = [];
  let status = 0;
  const worker = async () => {
    for (let file = files.pop(); file !== undefined; file = files.pop()) {
      const result = await capture(command, ['-p', 'build', '--quiet', ...tidyOptions.map((option) => `--extra-arg=${option}`), file]);
      if (result.status === 0) continue;
      status = result.status;
      outputs.push(result.output);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return { status, output: outputs.join('\n') };
}
