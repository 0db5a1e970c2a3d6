// Installs the packages as a user would, from a registry on this machine, into empty folders, with compilers, CMake and OpenBLAS out of sight, and
// trains Example 3 from CommonJS, ES modules and TypeScript. Says how many seconds and megabytes each package manager took.
//   node scripts/release/try-install.mjs --packages DIR [--managers npm11,npm12,…] [--messages]
// --messages: also each way to be without a binary, what is said then, and whether the command that it names mends it.
// What is not evenkeel's comes from the registry that npm is configured for.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Failure, root, runScript, say } from '../steps.mjs';

const tools = join(root, 'build-release', 'managers');
const installed = (path) => join(tools, 'node_modules', path);
const node = process.execPath;

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
    },
  });
  if (values.packages === undefined) throw new Failure('--packages DIR is missing: what scripts/release/packages.mjs made');
  const chosen = values.managers.split(',');
  for (const name of chosen)
    if (!(name in managers)) throw new Failure(`--managers: ${name} is none of ${Object.keys(managers).join(', ')}`);
  const work = mkdtempSync(join(tmpdir(), 'evenkeel-install-'));
  let registry;
  try {
    installTools(chosen);
    registry = await startRegistry(work);
    publish(resolve(values.packages), registry.url, work);
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
  } finally {
    registry?.stop();
    rmSync(work, { recursive: true, force: true });
  }
});

/** Each under a name of its own, without scripts; what is there is kept. */
function installTools(chosen) {
  const specs = Object.fromEntries(
    chosen.map((name) => {
      const { package: spec, alias = name } = managers[name];
      return [alias, `npm:${spec}`];
    }),
  );
  const dependencies = { verdaccio: '6.8.0', npm11: 'npm:npm@11', ...specs };
  const marker = join(tools, 'installed.json');
  const before = existsSync(marker) ? JSON.parse(readFileSync(marker, 'utf8')) : {};
  if (Object.entries(dependencies).every(([name, spec]) => before[name] === spec)) return;
  say('installing verdaccio and the package managers …\n');
  mkdirSync(tools, { recursive: true });
  const all = { ...before, ...dependencies };
  // A git address among verdaccio's dependencies' dependencies is no registry's.
  writeFileSync(join(tools, 'package.json'), JSON.stringify({ private: true, dependencies: all, overrides: { 'node-fetch': '2.7.0' } }));
  execFileSync('npm', ['install', '--ignore-scripts', '--force', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: tools,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (existsSync(installed('bun/bin/bun'))) chmodSync(installed('bun/bin/bun'), 0o755);
  writeFileSync(marker, JSON.stringify(all));
}

async function startRegistry(work) {
  const port = await freePort();
  const uplink = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
  const own = { access: '$all', publish: '$all', unpublish: '$all' };
  const config = {
    storage: join(work, 'storage'),
    uplinks: { upstream: { url: uplink, cache: true } },
    packages: { '@evenkeel/*': own, evenkeel: own, '**': { access: '$all', proxy: 'upstream' } },
    log: { type: 'file', path: join(work, 'verdaccio.log'), level: 'warn' },
    max_body_size: '100mb',
  };
  writeFileSync(join(work, 'verdaccio.yaml'), JSON.stringify(config));
  const url = `http://127.0.0.1:${port}/`;
  const child = spawn(
    node,
    [installed('verdaccio/bin/verdaccio'), '--config', join(work, 'verdaccio.yaml'), '--listen', `127.0.0.1:${port}`],
    { stdio: 'ignore' },
  );
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Failure(`verdaccio ended with ${child.exitCode}`);
    if (
      await fetch(`${url}-/ping`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return { url, stop: () => child.kill() };
    await sleep(200);
  }
  child.kill();
  throw new Failure('verdaccio did not answer within a minute');
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

function publish(packages, registry, work) {
  const config = join(work, 'npmrc');
  writeFileSync(config, `registry=${registry}\n//${new URL(registry).host}/:_authToken=anyone\n`);
  for (const folder of readdirSync(packages)) {
    execFileSync('npm', ['publish', '--userconfig', config, '--access', 'public', '--provenance=false', '--loglevel=error'], {
      cwd: join(packages, folder),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
}

/** An empty project of its own, in which no command but Node's and the shell's is found. */
function emptyProject(name, registry, work, files = {}) {
  const home = join(work, name);
  const folder = join(home, 'project');
  mkdirSync(folder, { recursive: true });
  const bin = join(home, 'bin');
  mkdirSync(bin);
  symlinkSync(node, join(bin, 'node'));
  for (const command of ['sh', 'env', 'uname', 'ldd', 'sed', 'dirname', 'basename'])
    if (existsSync(`/bin/${command}`)) symlinkSync(`/bin/${command}`, join(bin, command));
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  for (const [file, text] of Object.entries({ '.npmrc': `registry=${registry}\nminimum-release-age=0\n`, ...files }))
    writeFileSync(join(folder, file), text);
  for (const file of ['use.cjs', 'use.mjs', 'use.mts']) cpSync(join(root, 'scripts/release/programs', file), join(folder, file));
  const env = {
    PATH: bin,
    HOME: home,
    CI: 'true',
    npm_config_cache: join(home, 'npm'),
    npm_config_registry: registry,
    BUN_CONFIG_REGISTRY: registry,
    YARN_REGISTRY: registry,
  };
  if (spawnSync('g++', ['--version'], { env }).error === undefined) throw new Failure('the compiler is not out of sight');
  const run = ([command, ...args], more = {}) => spawnSync(command, args, { cwd: folder, env: { ...env, ...more }, encoding: 'utf8' });
  return { folder, home, run };
}

function must({ status, stdout, stderr, error }, what) {
  if (status !== 0) throw new Failure(`${what} failed (${error?.message ?? status}):\n${stdout}${stderr}`);
  return stdout;
}

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
  return `| ${name} | ${seconds} | ${packages} | ${(bytes / 1e6).toFixed(1)} | yes${manager.run === undefined ? '' : ', but types'} |`;
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
      says: 'the lock file was made on another platform',
    },
    { name: 'another libc', flags: ['--libc=musl'], says: 'npm install --include=optional' },
  ];
  for (const { name, flags, says } of cases) {
    const { run } = emptyProject(`without-${name.replaceAll(' ', '-')}`, registry, work);
    const add = managers.npm11.add;
    must(run(add({ name: 'evenkeel', flags })), name);
    const { status, stderr } = run([node, 'use.cjs']);
    if (status === 0) throw new Failure(`${name}: expected an error, but it ran`);
    if (!stderr.includes(says)) throw new Failure(`${name}: expected "${says}" in\n${stderr}`);
    const mend = /Type: npm (install [^;]*);/.exec(stderr)?.[1];
    if (mend === undefined) throw new Failure(`${name}: no command in\n${stderr}`);
    must(run([...add({ name: '' }).slice(0, 2), ...mend.split(' ')]), `${name}: npm ${mend}`);
    must(run([node, 'use.cjs']), `${name}: after npm ${mend}`);
    console.log(`${name}: said so, and mended by npm ${mend}`);
  }
}
