// A registry on this machine, and empty projects that install from it with what package managers, and nothing else, are to be found.
// What is not evenkeel's comes from the registry that npm is configured for.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure, root, say } from '../steps.mjs';

export const node = process.execPath;
const tools = join(root, 'build-release', 'managers');

/** A file of a package manager. */
export const installed = (path) => join(tools, 'node_modules', path);

/**
 * Each under a name of its own, without scripts; what is there is kept.
 * @param specs by name, such as { npm11: 'npm:npm@11' }
 */
export function installTools(specs) {
  const dependencies = { verdaccio: '6.8.0', ...specs };
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

export async function startRegistry(work) {
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

export function publish(packages, registry, work) {
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
export function emptyProject(name, registry, work, files = {}) {
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

export function must({ status, stdout, stderr, error }, what) {
  if (status !== 0) throw new Failure(`${what} failed (${error?.message ?? status}):\n${stdout}${stderr}`);
  return stdout;
}
