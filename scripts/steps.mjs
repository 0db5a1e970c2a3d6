// What the scripts share: running a command, timing a step, telling whether files changed. Node built-ins alone: these run before npm install.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** An error whose message is all a user needs to see. */
export class Failure extends Error {}

/** Runs `main` and ends the process with status 1 when it fails; a Failure is printed without its stack. */
export async function runScript(main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Failure ? `\n${error.message}` : error);
    process.exitCode = 1;
  }
}

// Standard error throughout, so that `npm start --silent -- --json` has nothing but the result on standard output.
export function say(text) {
  process.stderr.write(text);
}

/** Runs one step behind its own line: `name: what it does … done in 1.2 s`. */
export async function step(name, doing, work) {
  say(`${name}: ${doing} …`);
  const start = performance.now();
  try {
    await work();
    say(` done in ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
  } catch (error) {
    say(' failed\n');
    throw error;
  }
}

/** Runs a command silently in the repository root; when it fails, throws a Failure with the end of its output and the remedy. */
export async function run(command, args, { remedy, env } = {}) {
  const { status, output } = await capture(command, args, env);
  if (status === 0) return output;
  const tail = output.trimEnd().split('\n').slice(-40).join('\n');
  throw new Failure(`${tail}\n\n${[command, ...args].join(' ')} failed (${status}).${remedy === undefined ? '' : `\n${remedy}`}`);
}

/** Runs a command in the repository root and resolves to its exit status (or what kept it from running) and all it printed. */
export function capture(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => resolve({ status: error.message, output: '' }));
    child.on('close', (code, signal) => resolve({ status: code ?? signal, output: Buffer.concat(chunks).toString() }));
  });
}

/** What a quick command prints on standard output, or undefined when it is missing or fails. */
export function probe(command, args, input = '') {
  const result = spawnSync(command, args, { cwd: root, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
  return result.status === 0 ? result.stdout : undefined;
}

/** All files below a path of the repository (or the file itself), sorted. */
export function filesUnder(path) {
  const absolute = join(root, path);
  if (!statSync(absolute).isDirectory()) return [path];
  return readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/** A hash over the names and contents of files, and over any other words that matter. */
export function fingerprint(paths, words = []) {
  const hash = createHash('sha256').update(JSON.stringify(words));
  for (const file of paths.flatMap(filesUnder)) hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/** Puts text between `<!-- mark -->` and `<!-- /mark -->` of a document of the repository. */
export function replaceBlock(document, mark, text) {
  const path = join(root, document);
  const before = readFileSync(path, 'utf8');
  const place = new RegExp(`<!-- ${mark} -->\\n[\\s\\S]*?<!-- /${mark} -->`);
  if (!place.test(before)) throw new Failure(`${document} has no <!-- ${mark} --> to put the text in.`);
  writeFileSync(
    path,
    before.replace(place, () => `<!-- ${mark} -->\n\n${text}\n\n<!-- /${mark} -->`),
  );
}
