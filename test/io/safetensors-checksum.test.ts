// That damage is seen by the checksum.
import { readFileSync, writeFileSync } from 'node:fs';
import { loadState, saveState } from '../../lib/io/safetensors';
import { errorOf, expectSame, path, tensor } from './safetensors-files';

describe('the checksum', () => {
  const state = { a: tensor([3], 'float32', 1), b: tensor([2, 2], 'float64', 2) };
  const replaceIn = (text: string, other: string) => {
    const bytes = readFileSync(path);
    const at = bytes.indexOf(text);
    expect(at).toBeGreaterThan(0);
    bytes.write(other, at);
    writeFileSync(path, bytes);
  };

  test('finds every flipped bit, of its own name too', () => {
    saveState(path, state, { metadata: { note: 'x' }, checksum: true });
    const whole = readFileSync(path);
    const unseen: number[] = [];
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      writeFileSync(path, flipped);
      try {
        loadState(path);
        unseen.push(bit >> 3);
      } catch (error) {
        expect(error).toMatchObject({ name: 'EvenkeelError', code: 'ERR_FILE' });
      }
    }
    expect(unseen).toEqual([]);
  });

  test('is not passed over where only some tensors are read', () => {
    saveState(path, state);
    const file = readFileSync(path);
    file[file.length - 1] = (file.at(-1) as number) ^ 1;
    writeFileSync(path, file);
    expect(errorOf(() => loadState(path, { names: ['b'] })).message).toContain('expected contents with the SHA-256 "');
    expect(errorOf(() => loadState(path, { names: ['b'] })).message).toContain('which it should drop.');
  });

  test('sees another name, and a text that changed', () => {
    saveState(path, state, { metadata: { note: 'x' }, checksum: true });
    replaceIn('"a":', '"c":');
    expect(errorOf(() => loadState(path)).code).toBe('ERR_FILE');
    replaceIn('"c":', '"a":');
    expectSame(loadState(path), state);
    replaceIn('"note":"x"', '"note":"y"');
    expect(errorOf(() => loadState(path)).code).toBe('ERR_FILE');
  });

  test('is made anew, or left out, when that of another file is given as metadata', () => {
    for (const checksum of [true, false]) {
      saveState(path, state, { metadata: { 'evenkeel.sha256': 'of another file' }, checksum });
      expectSame(loadState(path), state);
    }
  });
});
