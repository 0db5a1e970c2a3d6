// Installs the packages as a user would, from a registry on this machine, into empty folders, with compilers, CMake and OpenBLAS out of sight, and
// trains Example 3 from CommonJS, ES modules and TypeScript. Says how many seconds and megabytes each package manager took.
//   node scripts/release/try-install.mjs --packages DIR [--managers npm11,npm12,…] [--messages] [--commands]
// --messages: also each way to be without a binary, what is said then, and whether the command that it names mends it.
// --commands: also @evenkeel/cli, and a build from source of what is installed, which takes minutes.
// What is not evenkeel's comes from the registry that npm is configured for.
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, root, runScript } from '../steps.mjs';
import { emptyProject, installed, installTools, must, node, publish, startRegistry } from './registry.mjs';

const managers = {
  npm10: { package: 'npm@10.9.9', ...npm('npm10') },
  npm11: { package: 'npm@11', ...npm('npm11') },
  npm12: { package: 'npm@12', ...npm('npm12') },
  pnpm: {
    package: 'pnpm@12',
    add: ({ name, home }) => [node, installed('pnpm/bin/pnpm.mjs'), 'add', name, '--store-dir', join(home, 'store')],
  },
  yarn1: {
    package: 'yarn@1.22.22',
    add: ({ name, home }) => [node, installed('yarn1/bin/yarn.js'), 'add', name, '--cache-folder', join(home, 'cache')],
  },
  yarn4: { package: '@yarnpkg/cli-dist@4', ...yarn4('node-modules') },
  'yarn4-pnp': { package: '@yarnpkg/cli-dist@4', alias: 'yarn4', ...yarn4('pnp'), run: [node, installed('yarn4/bin/yarn.js'), 'node'] },
  bun: { package: '@oven/bun-linux-x64@1', add: ({ name }) => [installed('bun/bin/bun'), 'add', name] },
};

function npm(alias) {
  return {
    add: ({ name, flags = [] }) =>
      [node, installed(`${alias}/bin/npm-cli.js`), 'install', name, '--no-audit', '--no-fund', ...flags].filter(Boolean),
  };
}

function yarn4(linker) {
  return {
    add: ({ name }) => [node, installed('yarn4/bin/yarn.js'), 'add', name],
    files: (registry) => ({
      '.yarnrc.yml': `npmRegistryServer: ${registry}\nunsafeHttpWhitelist: ['127.0.0.1']\nnodeLinker: ${linker}\nenableTelemetry: false\nnpmMinimalAgeGate: 0\nenableGlobalCache: false\n`,
      'yarn.lock': '',
    }),
  };
}

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      packages: { type: 'string' },
      managers: { type: 'string', default: Object.keys(managers).join() },
      messages: { type: 'boolean', default: false },
      commands: { type: 'boolean', default: false },
    },
  });
  if (values.packages === undefined) throw new Failure('--packages DIR is missing: what scripts/release/packages.mjs made');
  const chosen = values.managers.split(',');
  for (const name of chosen)
    if (!(name in managers)) throw new Failure(`--managers: ${name} is none of ${Object.keys(managers).join(', ')}`);
  const work = mkdtempSync(join(tmpdir(), 'evenkeel-install-'));
  let registry;
  try {
    const specs = ['npm11', ...chosen].map((name) => [managers[name].alias ?? name, `npm:${managers[name].package}`]);
    installTools(Object.fromEntries(specs));
    registry = await startRegistry(work);
    publish(resolve(values.packages), registry.url, work);
    // What the registry here fetches from another one first is no part of what a manager takes.
    must(emptyProject('first', registry.url, work).run(managers.npm11.add({ name: 'evenkeel' })), 'npm install evenkeel');
    console.log('| manager | seconds | packages | MB | CommonJS, ES modules, TypeScript |\n| --- | --- | --- | --- | --- |');
    const failures = chosen.filter((name) => {
      try {
        console.log(tryManager(name, managers[name], registry.url, work));
        return false;
      } catch (error) {
        console.log(`| ${name} | failed | | | ${String(error.message).split('\n').slice(0, 12).join(' ')} |`);
        return true;
      }
    });
    if (failures.length > 0) throw new Failure(`failed: ${failures.join(', ')}`);
    if (values.messages) tryMessages(registry.url, work);
    if (values.commands) tryCommands(registry.url, work);
  } finally {
    registry?.stop();
    rmSync(work, { recursive: true, force: true });
  }
});

function tryManager(name, manager, registry, work) {
  const { folder, home, run } = emptyProject(name, registry, work, manager.files?.(registry));
  const start = performance.now();
  must(run(manager.add({ name: 'evenkeel', home })), `${name}: add evenkeel`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const { packages, bytes } = weigh(folder);
  const command = manager.run ?? [node];
  for (const file of ['use.cjs', 'use.mjs']) must(run([...command, file]), `${name}: ${file}`);
  if (manager.run === undefined) {
    // The same program under each way of finding types; it is run as the last of them left it.
    for (const [module, resolution] of [
      ['node16', 'node16'],
      ['preserve', 'bundler'],
      ['nodenext', 'nodenext'],
    ]) {
      const options = [
        '--strict',
        '--target',
        'es2022',
        '--module',
        module,
        '--moduleResolution',
        resolution,
        '--types',
        'node',
        '--typeRoots',
        join(root, 'node_modules/@types'),
        '--outDir',
        'out',
        'use.mts',
      ];
      must(run([node, join(root, 'node_modules/typescript/bin/tsc'), ...options]), `${name}: types under ${resolution}`);
    }
    must(run([node, 'out/use.mjs']), `${name}: TypeScript`);
  }
  const version = JSON.parse(readFileSync(installed(`${manager.alias ?? name}/package.json`), 'utf8')).version;
  return `| ${name.replace(/\d.*/, '')} ${version}${name.endsWith('pnp') ? ', PnP' : ''} | ${seconds} | ${packages} | ${(bytes / 1e6).toFixed(1)} | yes${manager.run === undefined ? '' : ', but types'} |`;
}

/** What a manager left: packages with a manifest, or archives; and the bytes of all files, each once. */
function weigh(folder) {
  let packages = 0;
  let bytes = 0;
  const visit = (path, depth) => {
    const stat = lstatSync(path);
    if (stat.isDirectory()) {
      if (/node_modules\/(@[^/]+\/)?[^/@.][^/]*$/.test(path) && existsSync(join(path, 'package.json'))) packages++;
      for (const entry of readdirSync(path)) visit(join(path, entry), depth + 1);
    } else if (stat.isFile()) {
      bytes += stat.size;
      if (path.endsWith('.zip')) packages++;
    }
  };
  for (const part of ['node_modules', '.yarn']) if (existsSync(join(folder, part))) visit(join(folder, part), 0);
  return { packages, bytes };
}

/** Each way to be without a binary, from npm 11. */
function tryMessages(registry, work) {
  const here = JSON.parse(execFileSync(node, ['-p', 'JSON.stringify([process.platform, process.arch])'], { encoding: 'utf8' }));
  const other = here[0] === 'darwin' ? ['linux', 'x64'] : ['darwin', 'arm64'];
  const cases = [
    { name: 'optional packages left out', flags: ['--omit=optional'], says: '--omit=optional' },
    {
      name: 'a lock file from elsewhere',
      flags: [`--os=${other[0]}`, `--cpu=${other[1]}`],
      // As a platform whose package there is, or none.
      says: 'on another platform',
    },
    { name: 'another libc', flags: ['--libc=musl'], says: 'npm install --include=optional' },
  ];
  for (const { name, flags, says } of cases) {
    const { run } = emptyProject(`without-${name.replaceAll(' ', '-')}`, registry, work);
    const add = managers.npm11.add;
    must(run(add({ name: 'evenkeel', flags })), name);
    const stderr = expectSaid(run([node, 'use.cjs']), says, name);
    const mend = /Type: npm (install [^;]*);/.exec(stderr)?.[1];
    if (mend === undefined) throw new Failure(`${name}: no command in\n${stderr}`);
    must(run([...add({ name: '' }).slice(0, 2), ...mend.split(' ')]), `${name}: npm ${mend}`);
    must(run([node, 'use.cjs']), `${name}: after npm ${mend}`);
    console.log(`${name}: said so, and mended by npm ${mend}`);
  }

  // Such machines are not at hand: another processor is said to Node, and the binary made to ask for a glibc that there is not yet.
  const played = emptyProject('without-played', registry, work);
  must(played.run(managers.npm11.add({ name: 'evenkeel' })), 'npm install evenkeel');
  writeFileSync(join(played.folder, 'riscv.cjs'), `Object.defineProperty(process, 'arch', { value: 'riscv64' });`);
  expectSaid(
    played.run([node, '-r', './riscv.cjs', 'use.cjs']),
    `There is no binary of evenkeel for ${here[0]}-riscv64`,
    'an unsupported platform',
  );
  console.log('an unsupported platform, played: said so');
  if (here[0] !== 'linux') return;
  const binary = join(
    played.folder,
    'node_modules/@evenkeel',
    readdirSync(join(played.folder, 'node_modules/@evenkeel'))[0],
    'evenkeel.node',
  );
  writeFileSync(binary, Buffer.from(readFileSync(binary, 'latin1').replace(/GLIBC_2\.\d\d(?=\0)/g, 'GLIBC_9.99'), 'latin1'));
  expectSaid(played.run([node, 'use.cjs']), 'It needs glibc 9.99 or newer', 'a glibc that is too old');
  console.log('a glibc that is too old, played: said so');
}

function expectSaid({ status, stderr }, says, name) {
  if (status === 0) throw new Failure(`${name}: expected an error, but it ran`);
  if (!stderr.includes(says)) throw new Failure(`${name}: expected "${says}" in\n${stderr}`);
  return stderr;
}

/** What else can be installed or run from what is installed, by npm 11. */
function tryCommands(registry, work) {
  const npx = [node, installed('npm11/bin/npx-cli.js')];
  const study = ['study', '--epochs', '1', '--draws', '2', '--length', '20', '--out', 'study'];

  const whole = emptyProject('cli', registry, work);
  must(whole.run(managers.npm11.add({ name: '@evenkeel/cli' })), 'npm install @evenkeel/cli');
  must(whole.run([...npx, 'evenkeel', ...study]), 'npx evenkeel study');
  if (!existsSync(join(whole.folder, 'study/index.html'))) throw new Failure('evenkeel study: expected study/index.html');
  const { packages, bytes } = weigh(whole.folder);
  console.log(`npm install @evenkeel/cli: ${packages} packages, ${(bytes / 1e6).toFixed(1)} MB; npx evenkeel study works`);
  must(emptyProject('npx', registry, work).run([...npx, '--yes', '@evenkeel/cli', 'info']), 'npx @evenkeel/cli info');
  console.log('npx @evenkeel/cli info, in an empty folder: works');

  const source = emptyProject('source', registry, work);
  must(source.run(managers.npm11.add({ name: 'evenkeel', flags: ['--omit=optional'] })), 'npm install --omit=optional evenkeel');
  const refused = source.run([...npx, 'evenkeel', 'build']);
  if (refused.status === 0 || !refused.stderr.includes('apt-get install g++ cmake'))
    throw new Failure(`evenkeel build without a compiler: expected to be told what to install, got\n${refused.stdout}${refused.stderr}`);
  const { PATH, ...rest } = process.env;
  const ofCMake = Object.fromEntries(Object.entries(rest).filter(([key]) => /^(CMAKE|CCACHE)_/.test(key)));
  must(source.run([...npx, 'evenkeel', 'build'], { PATH, ...ofCMake }), 'npx evenkeel build');
  const { binary, blas, selfTest } = JSON.parse(must(source.run([...npx, 'evenkeel', 'info', '--json']), 'evenkeel info'));
  if (!binary.endsWith('/node_modules/evenkeel/build/Release/evenkeel.node') || !selfTest.passed)
    throw new Failure(`evenkeel info after evenkeel build: ${binary}, ${JSON.stringify(selfTest)}`);
  for (const file of ['use.cjs', 'use.mjs']) must(source.run([node, file]), `${file} after evenkeel build`);
  console.log(`npx evenkeel build: says what is missing; with a compiler it builds against ${blas}, and the programs run`);
}
