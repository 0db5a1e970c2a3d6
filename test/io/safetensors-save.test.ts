// What saveState writes, and what it refuses.
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadMetadata, loadState, type SaveStateOptions, saveState } from '../../lib/io/safetensors';
import { Tensor } from '../../lib/tensor';
import { errorOf, expectSame, folder, path, tensor } from './safetensors-files';

describe('saveState', () => {
  test('saves views into larger and shared buffers, and keeps every bit, NaN and -0 included', () => {
    const shared = new Float64Array(new SharedArrayBuffer(32), 8, 2);
    shared.set([Number.NaN, -0]);
    const view = new Float32Array([9, 1, 2, 3, 9]).subarray(1, 4);
    new Uint32Array(view.buffer)[1] = 0x7fa00001;
    const state = { shared: new Tensor(shared, [2]), view: new Tensor(view, [3]), tiny: new Tensor(new Float32Array([1e-45]), [1]) };
    saveState(path, state);
    expectSame(loadState(path), state);
  });

  test('starts the data at a multiple of eight bytes', () => {
    for (let length = 1; length <= 8; length++) {
      saveState(path, { ['n'.repeat(length)]: tensor([1], 'float64', 1) });
      expect((8 + Number(readFileSync(path).readBigUInt64LE())) % 8).toBe(0);
    }
  });

  test.each<[string, unknown, string, string]>([
    ['no record', null, 'ERR_OPTION', 'state: expected a record of tensors by name, got null'],
    ['an array', [tensor([1], 'float32', 1)], 'ERR_OPTION', 'got an array'],
    ['a Map', new Map([['a', tensor([1], 'float32', 1)]]), 'ERR_OPTION', 'got an instance of Map. For a model give model.stateDict().'],
    ['a tensor', tensor([1], 'float32', 1), 'ERR_OPTION', 'got an instance of Tensor'],
    ['an array in the record', { weight: new Float32Array(1) }, 'ERR_OPTION', 'state["weight"]: expected a Tensor, got a Float32Array'],
    ['a record in the record', { rnn: { weight: tensor([1], 'float32', 1) } }, 'ERR_OPTION', 'state["rnn"]: expected a Tensor'],
    ['the reserved name', { __metadata__: tensor([1], 'float32', 1) }, 'ERR_OPTION', 'not "__metadata__"'],
    ['half a surrogate pair', { '\ud83d': tensor([1], 'float32', 1) }, 'ERR_OPTION', 'whole Unicode text'],
    ['a name beyond the header limit', { ['n'.repeat(100_000_001)]: tensor([1], 'float32', 1) }, 'ERR_OPTION', 'at most 100000000 bytes'],
    [
      'a record that throws',
      Object.defineProperty({}, 'a', {
        enumerable: true,
        get: () => {
          throw new Error('no');
        },
      }),
      'ERR_OPTION',
      'state',
    ],
  ])('refuses %s before it touches the file', (_, state, code, message) => {
    writeFileSync(path, 'before');
    const error = errorOf(() => saveState(path, state as Record<string, Tensor>));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(readFileSync(path, 'utf8')).toBe('before');
  });

  test('keeps metadata of any text, and gives none unless there are some', () => {
    const metadata = Object.fromEntries([
      ['format', 'pt'],
      ['', ''],
      ['__proto__', '"\\\n\0é\u{1f600}'],
      ['2', 'b'],
      ['1', 'a'],
    ]);
    saveState(path, { a: tensor([3], 'float64', 1) }, { metadata });
    expect(Object.entries(loadMetadata(path))).toEqual(Object.entries(metadata));
    expectSame(loadState(path), { a: tensor([3], 'float64', 1) });
    for (const options of [{ metadata: {} }, { checksum: false }]) {
      saveState(path, {}, options);
      expect(readFileSync(path, 'utf8').slice(8)).toBe('{}      ');
    }
    for (const options of [{}, undefined, { metadata: {}, checksum: true }]) {
      saveState(path, {}, options);
      expect(readFileSync(path, 'utf8').slice(8).trimEnd()).toMatch(/^\{"__metadata__":\{"evenkeel\.sha256":"[0-9a-f]{64}"\}\}$/);
      expect(Object.entries(loadMetadata(path))).toEqual([]);
    }
  });

  test('of a tensor in shared memory writes what it has summed up', () => {
    const shared = new Tensor(new Float32Array(new SharedArrayBuffer(16), 4, 2).fill(3), [2]);
    saveState(path, { shared });
    expectSame(loadState(path), { shared });
  });

  test.each<[string, unknown, string]>([
    ['metadata that is none', { metadata: 'pt' }, 'metadata: expected a record of texts by name, got "pt"'],
    ['a Map', { metadata: new Map([['format', 'pt']]) }, 'metadata: expected a record of texts by name, got an instance of Map'],
    [
      'a number',
      { metadata: { epoch: 3 } },
      'metadata["epoch"]: expected a whole Unicode text, got 3. Write other values with JSON.stringify.',
    ],
    ['half a surrogate pair', { metadata: { note: '\ud83d' } }, 'metadata["note"]: expected a whole Unicode text'],
    ['half a pair in a name', { metadata: { '\ud83d': 'x' } }, 'metadata: expected names that are whole Unicode text'],
    ['more than a header takes', { metadata: { note: 'n'.repeat(100_000_001) } }, 'at most 100000000 bytes'],
    ['a checksum that is given', { checksum: 'abc' }, 'checksum: expected true or false, got "abc"'],
    ['an unknown option', { metdata: {} }, 'unknown option "metdata". Did you mean "metadata"?'],
    ['options that are none', 'pt', 'saveState options: expected an options object'],
  ])('refuses %s', (_, options, message) => {
    writeFileSync(path, 'before');
    expect(errorOf(() => saveState(path, {}, options as SaveStateOptions))).toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining(message),
    });
    expect(readFileSync(path, 'utf8')).toBe('before');
  });

  test('refuses a tensor whose buffer was transferred away', () => {
    const moved = tensor([2], 'float32', 1);
    structuredClone(moved.data.buffer, { transfer: [moved.data.buffer as ArrayBuffer] });
    expect(errorOf(() => saveState(path, { fine: tensor([1], 'float32', 1), moved }))).toMatchObject({
      code: 'ERR_STATE',
      message: expect.stringContaining('state["moved"]'),
    });
    expect(readdirSync(folder)).not.toContain('model.safetensors');
  });

  test('loads back through a symbolic link', () => {
    const link = join(folder, 'link');
    symlinkSync('model.safetensors', link);
    saveState(link, { a: tensor([3], 'float32', 1) });
    expectSame(loadState(path), { a: tensor([3], 'float32', 1) });
    rmSync(link);
  });
});
