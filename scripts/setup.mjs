// Brings a checkout to where `npm start` and `npm test` can run: system packages, npm packages, native addon, compiled TypeScript.
// Each step is skipped when what it made still fits what it was made from, so that it costs nothing to run this every time.
// Node built-ins alone, because the first run is before npm install.
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure, filesUnder, fingerprint, probe, root, run, runScript, say, step } from './steps.mjs';
import { buildTools, ensureSystem } from './system.mjs';

const label = 'set-up';
const at = (path) => join(root, path);
const addon = at('build/Release/evenkeel.node');

await runScript(async () => {
  checkNode();
  await withLock(at('dist/.lock'), async () => {
    await installPackages();
    await buildAddon();
    await compileTypeScript();
  });
});

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 17)) {
    throw new Failure(
      `evenkeel needs Node 20.17 or newer, this is ${process.versions.node}. Get one from https://nodejs.org or with a version manager.`,
    );
  }
}

/** npm's own `npm ci` refuses a lock that lists fewer foreign-platform packages than the registry serves; `--no-save` leaves the lock alone. */
async function installPackages() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(at('package.json'), 'utf8'));
  const words = [dependencies, devDependencies, process.platform, process.arch];
  await unlessCurrent('npm packages', 'installing', 'node_modules/.evenkeel', fingerprint(['package-lock.json'], words), async () => {
    const args = ['install', '--no-save', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    await run('npm', args, { remedy: 'Is the network up, and the npm registry within reach? Then run the command again.' });
  });
}

async function buildAddon() {
  const configuration = configurationFingerprint();
  const sources = fingerprint(['CMakeLists.txt', 'native'], [configuration]);
  if (isCurrent('build/.sources', sources) && addonLoads()) {
    say(`${label}: native addon: up to date\n`);
    return;
  }
  await ensureSystem(label, buildTools);
  // CMake never configures an existing folder anew for other arguments, compilers or places.
  if (!isCurrent('build/.configuration', configuration) || isCurrent('build/.sources', sources))
    rmSync(at('build'), { recursive: true, force: true });
  await step(label, 'native addon: building', async () => {
    mkdirSync(at('build'), { recursive: true });
    const cmakeJs = at('node_modules/cmake-js/bin/cmake-js');
    await run(process.execPath, [cmakeJs, 'build', '--parallel', String(Math.min(availableParallelism(), 8))], {
      remedy: 'If this names no mistake in native/, delete the folder build and run the command again.',
    });
    writeFileSync(at('build/.configuration'), configuration);
    if (!addonLoads()) throw new Failure(`${addon} was built but does not load. What Node says: node -p 'require("${addon}")'`);
    writeFileSync(at('build/.sources'), sources);
  });
}

function configurationFingerprint() {
  const versions = ['cmake-js', 'node-addon-api', 'node-api-headers'].map((name) => `node_modules/${name}/package.json`);
  return fingerprint(versions, [root, process.platform, process.arch, process.env.CXX]);
}

/** Tried in a process of its own: a build from another machine can crash. */
function addonLoads() {
  return probe(process.execPath, ['-e', `require(${JSON.stringify(addon)})`]) !== undefined;
}

async function compileTypeScript() {
  const current = fingerprint(['lib', 'tsconfig.json', 'node_modules/typescript/package.json']);
  await unlessCurrent('TypeScript', 'compiling', 'dist/.sources', current, async () => {
    await run(process.execPath, [at('node_modules/typescript/bin/tsc'), '--pretty', 'false']);
    removeOrphans();
  });
}

/** Deletes what an earlier compilation left of a source file that is gone, lest it be packed or still be found by an import. */
function removeOrphans() {
  for (const file of filesUnder('dist')) {
    const source = /^dist\/(.*?)(\.d\.ts|\.js)$/.exec(file)?.[1];
    if (source !== undefined && !existsSync(at(`lib/${source}.ts`))) rmSync(at(file));
  }
}

function isCurrent(stamp, current) {
  return existsSync(at(stamp)) && readFileSync(at(stamp), 'utf8') === current;
}

/** Runs a step unless its stamp holds the fingerprint already; each stamp lies within what its step makes, and goes when that is deleted. */
async function unlessCurrent(what, doing, stamp, current, work) {
  if (isCurrent(stamp, current)) {
    say(`${label}: ${what}: up to date\n`);
    return;
  }
  await step(label, `${what}: ${doing}`, async () => {
    await work();
    writeFileSync(at(stamp), current);
  });
}

/** Lets one set-up work at a time in this checkout. The lock holds the owner's process id, so that a killed owner blocks nobody. */
async function withLock(path, work) {
  mkdirSync(at('dist'), { recursive: true });
  for (let waited = 0; !tryLock(path); waited++) {
    if (waited === 0) say(`${label}: waiting for another set-up of this checkout\n`);
    if (waited === 1800) throw new Failure(`Another set-up has held this checkout for 15 minutes. If there is none, delete ${path}.`);
    await sleep(500);
  }
  try {
    await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path) {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, String(process.pid));
    closeSync(file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (!ownerIsGone(path)) return false;
  rmSync(path, { force: true });
  return tryLock(path);
}

function ownerIsGone(path) {
  try {
    const owner = Number(readFileSync(path, 'utf8'));
    // An owner that has yet to write its number gets a second; a number of our own is left over from a container's earlier life.
    if (owner === 0) return Date.now() - statSync(path).mtimeMs > 1000;
    if (owner === process.pid) return true;
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
