// Damaged and hostile files of Keras: ERR_FILE with a reason or the whole model, never a part, within bounds of memory and time.
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { unzipSync, zipSync } from 'fflate';
import type * as hdf5 from '../../lib/interop/keras/hdf5';
import { Hdf5Reader, type Jsfive } from '../../lib/interop/keras/hdf5-reader';
import { evenkeelError } from '../helpers/errors';
import { compiled, unpack } from './keras-files';

const { EvenkeelError, fromKeras } = compiled;
const { readHdf5 } = require('../../dist/interop/keras/hdf5') as typeof hdf5;
const folder = unpack('keras3');
afterAll(folder.remove);
const keras = readFileSync(folder.path('words.keras'));
const parts = unzipSync(keras) as Record<'config.json' | 'model.weights.h5' | 'metadata.json', Uint8Array>;
const at = folder.path('hostile');
const read = (contents: Uint8Array) => {
  writeFileSync(at, contents);
  return fromKeras(at);
};
const refused = (contents: Uint8Array, text: string) => expect(read(contents)).rejects.toThrow(evenkeelError('ERR_FILE', text));

describe('zip files', () => {
  test('as it was made anew, it is read', async () => {
    expect((await read(zipSync(parts))).model.parameters().length).toBeGreaterThan(0);
  });

  test('cut anywhere', async () => {
    for (const length of [5, 30, 100, keras.length - 30, keras.length - 1]) await refused(keras.subarray(0, length), at);
  });

  test('without an entry', async () => {
    await refused(zipSync({ 'config.json': parts['config.json'] }), 'an entry "model.weights.h5", got none');
    await refused(zipSync({ 'model.weights.h5': parts['model.weights.h5'] }), 'an entry "config.json", got none');
  });

  test('that unpacks to much more than it is', async () => {
    await refused(zipSync({ ...parts, 'model.weights.h5': new Uint8Array(2 ** 26) }), 'at most 20 times its');
  });

  test('whose sizes are not true', async () => {
    const file = Buffer.from(
      zipSync({ 'config.json': parts['config.json'], 'model.weights.h5': [parts['model.weights.h5'], { level: 9 }] }),
    );
    const entry = file.lastIndexOf('PK\x01\x02');
    for (const size of [1, 100_000, 0xffff_fffe]) {
      const changed = Buffer.from(file);
      changed.writeUInt32LE(size, entry + 24);
      await refused(changed, at);
    }
  });

  test('whose weights were changed', async () => {
    const changed = Buffer.from(keras);
    const place = changed.indexOf(Buffer.from(parts['model.weights.h5'].slice(-64)));
    expect(place).toBeGreaterThan(0);
    changed[place + 10] = (changed[place + 10] as number) ^ 1;
    await refused(changed, 'contents with the checksum of the zip file');
  });

  test('with a config that is none', async () => {
    const withConfig = (text: string) => zipSync({ ...parts, 'config.json': Buffer.from(text) });
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '3',
      '{"class_name":"Sequential"}',
      '{"class_name":"Sequential","config":{"layers":3}}',
      `${'['.repeat(100_000)}`,
      // Deeper than a stack reaches.
      `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
      `{"class_name":${'['.repeat(50_000)}${']'.repeat(50_000)},"config":{"layers":[]}}`,
      `{"class_name":"Sequential","config":{"layers":[${'['.repeat(50_000)}${']'.repeat(50_000)}]}}`,
    ]) {
      await refused(withConfig(text), at);
    }
  });
});

describe('configs', () => {
  const changed = (from: RegExp, to: string) => {
    const text = Buffer.from(parts['config.json']).toString('utf8');
    expect(text).toMatch(from);
    return zipSync({ ...parts, 'config.json': Buffer.from(text.replace(from, to)) });
  };

  test.each([
    ['units that the file has no weights for', /"units": 4/, '"units": 1000000000', 'expected shape'],
    ['a vocabulary that the file has no weights for', /"input_dim": 7/, '"input_dim": 9007199254740991', 'expected shape'],
    ['fewer units than the file has weights for', /"units": 4/, '"units": 2', 'expected shape'],
    ['units below 1', /"units": 4/, '"units": -4', 'a whole number of at least 1'],
    ['units that are a text', /"units": 4/, '"units": "4"', 'a number for units, got "4"'],
    ['no bias where there is one', /"use_bias": true/, '"use_bias": false', 'belong to layers of the model'],
    ['a layer that nobody knows', /"class_name": "LSTM"/, '"class_name": "__proto__"', 'one of the layers'],
    ['a half-precision policy', /"name": "float32"/g, '"name": "mixed_float16"', 'dtype float32 or float64'],
    [
      'an activation of a user',
      /"activation": "tanh"/,
      '"activation": {"class_name": "Mine"}',
      'activation "tanh", got an object of "Mine"',
    ],
  ])('%s', async (_, from, to, text) => {
    await refused(changed(from, to), text);
  });

  test('a name like a member of every object is a name', async () => {
    const { model } = await read(changed(/"name": "lstm\w*"/, '"name": "__proto__"'));
    expect(model.parameters().map(({ name }) => name)).toContain('__proto__.weight_ih_l0');
  });
});

describe('HDF5 files', () => {
  const file = readFileSync(folder.path('words.h5'));

  test('cut anywhere', async () => {
    for (const length of [8, 100, 2000, file.length >> 1, file.length - 1]) await refused(file.subarray(0, length), at);
  });

  test('whose B-tree branches without end are given up', async () => {
    // A group's node of level 12, all of whose children are of the level below and lead back to one that is.
    const node = file.indexOf('TREE');
    expect(node).toBeGreaterThan(0);
    const nodes = Buffer.alloc(60 * 24_000);
    for (let level = 0; level <= 60; level++) {
      const begin = level * 24_000;
      if (begin >= nodes.length) break;
      nodes.write('TREE', begin);
      nodes.writeUInt8(0, begin + 4);
      nodes.writeUInt8(level, begin + 5);
      nodes.writeUInt16LE(1000, begin + 6);
      for (let child = 0; child < 1000; child++)
        nodes.writeBigUInt64LE(BigInt(file.length + Math.max(0, level - 1) * 24_000), begin + 32 + 16 * child);
    }
    const hostile = Buffer.concat([file, nodes]);
    hostile.writeUInt8(60, node + 5);
    hostile.writeUInt16LE(1, node + 6);
    hostile.writeBigUInt64LE(BigInt(file.length + 59 * 24_000), node + 32);
    const damaged = readHdf5('file', Uint8Array.from(hostile).buffer, /^$/, 3);
    await expect(damaged).rejects.toThrow(evenkeelError('ERR_FILE', 'a sound HDF5 file'));
  });

  test('damaged ones are refused with a reason, or read whole', async () => {
    const jsfive = (await import('jsfive' as string)) as Jsfive;
    const whole = new Hdf5Reader(file.length, /^$/).read(jsfive, Uint8Array.from(file).buffer);
    const numbers = whole.tensors.reduce((sum, [, , data]) => sum + data.length, 0);
    expect(numbers).toBe(7 * 3 + 3 * 16 + 4 * 16 + 16 + 4 + 1);
    const place = fc.nat(file.length - 1);
    const damage = fc.oneof(
      fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 8 }).map((changes) => {
        const copy = Uint8Array.from(file);
        for (const [index, value] of changes) copy[index] = value;
        return copy;
      }),
      place.map((end) => Uint8Array.from(file.subarray(0, end))),
    );
    // What jsfive throws of its own is a refusal too: the thread that it runs in makes an ERR_FILE of it.
    const readOrRefuse = (copy: Uint8Array) => {
      try {
        return new Hdf5Reader(copy.length, /^$/).read(jsfive, copy.buffer as ArrayBuffer).tensors;
      } catch {
        return undefined;
      }
    };
    let refusals = 0;
    fc.assert(
      fc.property(damage, (copy) => {
        const tensors = readOrRefuse(copy);
        if (tensors === undefined) return void refusals++;
        const bytes = tensors.reduce((sum, [, , data]) => sum + data.byteLength, 0);
        expect(bytes).toBeLessThanOrEqual(2 * copy.length);
        for (const [, shape, data] of tensors) expect(shape.reduce((a, b) => a * b, 1)).toBe(data.length);
      }),
      { numRuns: 1000, seed: 5 },
    );
    expect(refusals).toBeGreaterThan(100);
  });

  test('a model of damaged files is whole', async () => {
    const expected = Object.entries((await fromKeras(folder.path('words.h5'))).model.stateDict()).map(([name, { shape }]) => [name, shape]);
    const place = fc.nat(file.length - 1);
    let refusals = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 16 }), async (changes) => {
        const copy = Uint8Array.from(file);
        for (const [index, value] of changes) copy[index] = value;
        try {
          const { model } = await read(copy);
          expect(Object.entries(model.stateDict()).map(([, { shape }]) => shape)).toEqual(expected.map(([, shape]) => shape));
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect(error.code).toBe('ERR_FILE');
          expect(error.message).toContain(at);
          refusals++;
        }
      }),
      { numRuns: 60, seed: 6 },
    );
    expect(refusals).toBeGreaterThan(5);
  });
});
