// Files as saveState and saveCheckpoint write them, damaged: as bytes, or in their header alone.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { internal } from './calls.mjs';
import { json, mutateBytes, mutateJson, text } from './random.mjs';

const { Generator, Linear, loadCheckpoint, loadMetadata, loadState, SGD, saveCheckpoint, saveState, Tensor } = internal('index');
const DTYPES = ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL', 'F8_E4M3', 'X'];

/** A file from its header and its data. */
function assemble(header, data, lengthField = undefined) {
  const bytes = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt.asUintN(64, lengthField ?? BigInt(bytes.length)));
  return Buffer.concat([length, bytes, data]);
}

/** A header that may or may not be one, over so many bytes. */
function inventHeader(random, size) {
  const entries = Array.from({ length: random.below(5) }, () => {
    const shape = Array.from({ length: random.below(4) }, () => random.pick([0, 1, 2, 3, 5, 2 ** 32, 2 ** 53]));
    const [begin, end] = [random.below(size + 2), random.below(size + 2)];
    return [text(random), { dtype: random.pick(DTYPES), shape, data_offsets: random.chance(0.5) ? [begin, end] : [0, size] }];
  });
  if (random.chance(0.4)) entries.push(['__metadata__', random.chance(0.5) ? { format: 'pt' } : json(random)]);
  return Object.fromEntries(entries);
}

/** A copy of a safetensors file, damaged as bytes or in its header; now and then the file itself. */
export function damaged(random, bytes) {
  if (random.chance(0.1)) return bytes;
  if (random.chance(0.4)) return mutateBytes(random, bytes);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + length));
  const data = bytes.subarray(8 + length);
  const lengthField = random.chance(0.05) ? BigInt(random.pick([0, 1, 100, 2 ** 40])) * 2n ** BigInt(random.below(30)) : undefined;
  return assemble(random.chance(0.6) ? mutateJson(random, header) : inventHeader(random, data.length), data, lengthField);
}

export async function prepare(folder, calls) {
  const generator = new Generator(1);
  const model = new Linear({ inputSize: 3, outputSize: 2, generator });
  const optimizer = new SGD(model.parameters(), { learningRate: 0.1, momentum: 0.9 });
  const file = join(folder, 'a.safetensors');
  const state = { a: Tensor.from([[1, 2, 3]]), 'b.weight': Tensor.from([1, 2], { dtype: 'float64' }), empty: Tensor.zeros([0, 4]) };
  saveState(file, state, { metadata: { format: 'pt' } });
  const stateBytes = readFileSync(file);
  saveCheckpoint(file, { model, optimizer, step: 3 });
  const checkpointBytes = readFileSync(file);

  return async (random) => {
    const isCheckpoint = random.chance(0.3);
    writeFileSync(file, damaged(random, isCheckpoint ? checkpointBytes : stateBytes));
    const loaded = calls.run('loadState', () =>
      random.chance(0.2) ? loadState(file, { names: [random.pick(['a', 'b.weight', text(random)])] }) : loadState(file),
    );
    for (const [name, tensor] of Object.entries(loaded ?? {})) {
      const isWhole = Tensor.isTensor(tensor) && tensor.data.length === tensor.shape.reduce((product, size) => product * size, 1);
      calls.expect('loadState', isWhole, `what it gives for ${JSON.stringify(name)} is no tensor`);
    }
    calls.run('loadMetadata', () => loadMetadata(file));
    if (!isCheckpoint && random.chance(0.8)) return;
    const before = JSON.stringify([model.stateDict().weight.toArray(), optimizer.stateDict().step.toArray()]);
    const step = calls.run('loadCheckpoint', () => loadCheckpoint(file, { model, optimizer }));
    const after = JSON.stringify([model.stateDict().weight.toArray(), optimizer.stateDict().step.toArray()]);
    if (step === undefined) calls.expect('loadCheckpoint', before === after, 'it was refused and changed the model');
    else calls.expect('loadCheckpoint', Number.isSafeInteger(step) && step >= 0, `it gave step ${step}`);
  };
}
