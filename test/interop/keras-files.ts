// Models that Keras 3, Keras 2 and TF.js saved, unpacked beside each other; see fixtures/make_keras.py.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';
// The compiled package: HDF5 is read in a thread of its own, which knows no TypeScript.
import type * as api from '../../lib/index';

export const compiled = require('../../dist/index') as typeof api;
const { loadState, Tensor } = compiled;

export const fixtures = join(__dirname, 'fixtures');

/** A folder with the files of a zip in it, and with room for more. */
export function unpack(name: string): { path: (file: string) => string; files: string[]; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  for (const [file, contents] of Object.entries(unzipSync(readFileSync(join(fixtures, `${name}.zip`))))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), contents);
  }
  return {
    path: (file) => join(folder, file),
    files: readdirSync(folder),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

type Golden = Record<string, InstanceType<typeof Tensor>>;

export function goldens(name: string): Golden {
  return loadState(join(fixtures, `${name}.safetensors`));
}

/** The inputs of a model, each with what its maker computed. */
export function passesOf(golden: Golden, name: string): { input: api.Tensor; expected: api.Tensor }[] {
  const passes: { input: api.Tensor; expected: api.Tensor }[] = [];
  for (let i = 0; golden[`${name}/input${i}`] !== undefined; i++) {
    passes.push({ input: golden[`${name}/input${i}`] as api.Tensor, expected: golden[`${name}/output${i}`] as api.Tensor });
  }
  return passes;
}

/** The largest difference of two outputs where they count: Keras goes on with the last output behind a sequence's end. */
export function difference(output: api.Tensor, expected: api.Tensor, lengths: Int32Array | undefined): number {
  expect(output.shape).toEqual(expected.shape);
  const [, steps = 1, width = 1] = output.shape;
  let largest = 0;
  for (let i = 0; i < output.size; i++) {
    const counts =
      output.shape.length < 3 ||
      lengths === undefined ||
      Math.floor(i / width) % steps < (lengths[Math.floor(i / width / steps)] as number);
    const distance = Math.abs((output.data[i] as number) - (expected.data[i] as number));
    // Not Math.max, which a comparison with NaN would get past.
    if (counts && !(distance <= largest)) largest = distance;
  }
  return largest;
}

/** In another dtype. */
export function asDType({ data, shape }: api.Tensor, dtype: api.DType): api.Tensor {
  return new Tensor(dtype === 'float64' ? Float64Array.from(data) : Float32Array.from(data), shape);
}
