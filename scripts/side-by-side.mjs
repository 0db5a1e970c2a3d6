// Runs the programs of docs/side-by-side.md to their ends: evenkeel's, that of TF.js, and with --keras and --torch, each a Python, those of Keras and PyTorch.
//   npm install --prefix bench          once: TF.js is no dependency of evenkeel
//   node scripts/side-by-side.mjs [--keras python3] [--torch python3]
// TF.js runs in plain JavaScript where @tensorflow/tfjs-node is not installed, with a file:// of its own that keeps the model in memory.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure, root, runScript } from './steps.mjs';

const { values } = parseArgs({ options: { keras: { type: 'string' }, torch: { type: 'string' } } });
const ofBench = createRequire(new URL('../bench/package.json', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-side-by-side-'));

/** The program below the heading of docs/side-by-side.md that begins so. */
function programOf(heading) {
  const text = readFileSync(join(root, 'docs/side-by-side.md'), 'utf8');
  const [, code] = new RegExp(`^## ${heading}.*\\n[^#]*?^\`\`\`\\w+\\n([\\s\\S]*?)^\`\`\``, 'm').exec(text) ?? [];
  if (code === undefined) throw new Failure(`docs/side-by-side.md has no program of ${heading}.`);
  return code;
}

function runProgram(name, command, file, code) {
  const path = join(folder, file);
  writeFileSync(path, code);
  const begin = performance.now();
  const { status, stdout, stderr } = spawnSync(command, [path], { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Failure(`The program of ${name} ended with status ${status}:\n${stderr.slice(-3000)}`);
  console.log(`${name}: ${stdout.trim().split('\n').at(-1)}, after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}

/** A package by the name in the program, which is TF.js with or without its native part. */
function layOutTfjs() {
  const place = join(folder, 'node_modules/@tensorflow/tfjs-node');
  mkdirSync(dirname(place), { recursive: true });
  try {
    symlinkSync(dirname(ofBench.resolve('@tensorflow/tfjs-node/package.json')), place);
    return ofBench('@tensorflow/tfjs-node/package.json').version;
  } catch {
    mkdirSync(place);
    writeFileSync(join(place, 'index.js'), plainTfjs(ofBench.resolve('@tensorflow/tfjs')));
    return `${ofBench('@tensorflow/tfjs/package.json').version} without tfjs-node`;
  }
}

function plainTfjs(path) {
  return `const tf = require(${JSON.stringify(path)});
const saved = new Map();
const nameOf = (url) => (typeof url === 'string' && url.startsWith('file://') ? url.replace(/\\/model\\.json$/, '') : undefined);
tf.io.registerSaveRouter((url) => nameOf(url) === undefined ? null : {
  save: async (artifacts) => {
    saved.set(nameOf(url), artifacts);
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
  },
});
tf.io.registerLoadRouter((url) => (saved.has(nameOf(url)) ? { load: async () => saved.get(nameOf(url)) } : null));
module.exports = tf;`;
}

await runScript(async () => {
  try {
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules/evenkeel'));
    runProgram('evenkeel', process.execPath, 'evenkeel.mjs', programOf('evenkeel'));
    runProgram(`TF.js ${layOutTfjs()}`, process.execPath, 'tfjs.cjs', programOf('TF\\.js'));
    if (values.keras !== undefined) runProgram('Keras', values.keras, 'of_keras.py', programOf('Keras 3'));
    if (values.torch !== undefined) runProgram('PyTorch', values.torch, 'of_torch.py', programOf('PyTorch'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
