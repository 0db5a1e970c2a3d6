// What is published, as folders from which npm packs: evenkeel, @evenkeel/cli, and a package for each binary.
//   node scripts/release/packages.mjs --out DIR --binary linux-x64=build/Release/evenkeel.node [--binary …]
// The manifests are made here, so that a checkout depends on no package that its own release is to bring.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, root, runScript } from '../steps.mjs';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { version, license, engines } = manifest;
const common = { version, license, ...addresses() };

/** Where the sources are: known where a public runner publishes from them, and said nowhere before. npm compares them with its provenance. */
export function addresses({ GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env) {
  if (!server || !name) return {};
  const url = `${server}/${name}`;
  return { repository: { type: 'git', url: `git+${url}.git` }, homepage: `${url}#readme`, bugs: { url: `${url}/issues` } };
}

/**
 * @param binaries platform → file
 * @returns folders by package name, in the order in which they are published: what others depend on first
 */
export function stagePackages(out, binaries) {
  rmSync(out, { recursive: true, force: true });
  const packages = Object.entries(binaries).map(([platform, file]) => stageBinary(join(out, platform), platform, file));
  packages.push(stageLibrary(join(out, 'evenkeel'), Object.keys(binaries)), stageCommandLine(join(out, 'cli')));
  return Object.fromEntries(packages);
}

function stageBinary(folder, platform, file) {
  const [os, cpu, musl] = platform.split('-');
  const name = `@evenkeel/${platform}`;
  mkdirSync(folder, { recursive: true });
  cpSync(file, join(folder, 'evenkeel.node'));
  const libc = os === 'linux' ? { libc: [musl === undefined ? 'glibc' : 'musl'] } : {};
  write(folder, {
    name,
    ...common,
    description: `The native addon of evenkeel for ${platform}. Installed with evenkeel, as an optional dependency; of no use alone.`,
    os: [os],
    cpu: [cpu],
    ...libc,
    engines,
    main: 'evenkeel.node',
    files: ['evenkeel.node', 'NOTICE', 'Apache-2.0.txt'],
    // Yarn's Plug'n'Play keeps packages in archives, from which nothing native is loaded.
    preferUnplugged: true,
  });
  copy(folder, ['LICENSE', 'NOTICE']);
  cpSync(join(root, 'licenses/Apache-2.0.txt'), join(folder, 'Apache-2.0.txt'));
  writeFileSync(join(folder, 'README.md'), `# ${name}\n\nThe native addon of evenkeel for ${platform}, installed with it.\n`);
  return [name, folder];
}

function stageLibrary(folder, platforms) {
  mkdirSync(folder, { recursive: true });
  copy(folder, packedFiles());
  const { devDependencies, scripts, binary, ...rest } = manifest;
  // Exactly: a binary fits the code that was released with it.
  const optionalDependencies = Object.fromEntries(platforms.map((platform) => [`@evenkeel/${platform}`, version]));
  write(folder, { ...rest, ...addresses(), optionalDependencies });
  return ['evenkeel', folder];
}

/** The packages that the commands need, which a library's user does not download; the commands themselves are in evenkeel. */
function stageCommandLine(folder) {
  const name = '@evenkeel/cli';
  mkdirSync(folder, { recursive: true });
  const { bullmq, ioredis, ...packages } = manifest.peerDependencies;
  write(folder, {
    name,
    ...common,
    description: 'The command line of evenkeel: study, sweep, worker, report, bench.',
    type: 'commonjs',
    engines,
    bin: { 'evenkeel-cli': 'index.js' },
    main: 'index.js',
    files: ['index.js'],
    dependencies: { evenkeel: version, ...packages },
    peerDependencies: { bullmq, ioredis },
    peerDependenciesMeta: { bullmq: { optional: true }, ioredis: { optional: true } },
  });
  writeFileSync(join(folder, 'index.js'), "#!/usr/bin/env node\nrequire('evenkeel/cli');\n");
  copy(folder, ['LICENSE']);
  const text = `# ${name}\n\nWhat the commands of evenkeel need beside the library: \`npx @evenkeel/cli study\`, or \`npm install @evenkeel/cli\` and \`npx evenkeel study\`.\n`;
  writeFileSync(join(folder, 'README.md'), text);
  return [name, folder];
}

function packedFiles() {
  const { stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' });
  const [packed] = JSON.parse(stdout || 'null') ?? [];
  if (packed === undefined) throw new Failure(`npm pack failed:\n${stderr}`);
  return packed.files.map(({ path }) => path).filter((path) => path !== 'package.json');
}

function copy(folder, files) {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file));
  }
}

function write(folder, content) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
}

if (process.argv[1] === import.meta.filename) {
  await runScript(async () => {
    const { values } = parseArgs({ options: { out: { type: 'string' }, binary: { type: 'string', multiple: true, default: [] } } });
    if (values.out === undefined) throw new Failure('--out DIR is missing');
    const binaries = Object.fromEntries(values.binary.map((text) => text.split('=', 2)));
    for (const [name, folder] of Object.entries(stagePackages(resolve(values.out), binaries))) console.log(`${name} ${folder}`);
  });
}
