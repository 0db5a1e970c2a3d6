// A file system that fails: each call of node:fs that a save makes fails once, with each of three errors, and the file must then hold what it held before or what it should.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(import.meta.url);
const fs = require('node:fs');
const { EvenkeelError, Linear, loadCheckpoint, SGD, saveCheckpoint, saveState, loadState } = require('../../dist/index.js');
const CALLS = ['openSync', 'writeSync', 'writeFileSync', 'writevSync', 'fsyncSync', 'fdatasyncSync', 'renameSync', 'closeSync'];
const CODES = ['EIO', 'ENOSPC', 'EACCES'];

/** Runs `body` with the k-th call of these functions failing; whether there were so many. */
function withFault(k, code, body) {
  const originals = Object.fromEntries(CALLS.map((name) => [name, fs[name]]));
  let count = 0;
  for (const name of CALLS) {
    fs[name] = (...args) => {
      if (count++ === k) throw Object.assign(new Error(`${code}: injected, ${name}`), { code, syscall: name });
      return originals[name](...args);
    };
  }
  try {
    body();
  } finally {
    Object.assign(fs, originals);
  }
  return count > k;
}

export async function measure() {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-faults-'));
  const result = { injected: 0, saved: 0, refused: 0, untyped: 0, damaged: 0, leftBehind: 0 };
  try {
    const model = new Linear({ inputSize: 20, outputSize: 20 });
    const optimizer = new SGD(model.parameters(), { learningRate: 0.1, momentum: 0.9 });
    const file = join(folder, 'a.safetensors');
    const saves = {
      saveState: [() => saveState(file, model.stateDict()), () => loadState(file)],
      saveCheckpoint: [() => saveCheckpoint(file, { model, optimizer, step: 2 }), () => loadCheckpoint(file, { model, optimizer })],
    };
    for (const [save, load] of Object.values(saves)) {
      for (const code of CODES) for (let k = 0; injectInto(save, load, k, code); k++);
    }

    function injectInto(save, load, k, code) {
      save();
      const before = readFileSync(file);
      let reached;
      try {
        reached = withFault(k, code, save);
        if (reached) result.saved++;
      } catch (error) {
        reached = true;
        result.refused++;
        if (!(error instanceof EvenkeelError)) result.untyped++;
      }
      if (!reached) return false;
      result.injected++;
      load();
      if (!readFileSync(file).equals(before)) result.damaged++;
      const others = readdirSync(folder).filter((name) => name !== 'a.safetensors');
      result.leftBehind += others.length;
      for (const name of others) rmSync(join(folder, name));
      return true;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return result;
}
