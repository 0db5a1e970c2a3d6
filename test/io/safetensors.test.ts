// Files of Python, both ways.
import { readFileSync } from 'node:fs';
import { loadMetadata, loadState, saveState } from '../../lib/io/safetensors';
import { expectSame, fixture, path, pythonState, tensor } from './safetensors-files';

describe('with Python', () => {
  test("loads what Python's safetensors wrote", () => {
    expectSame(loadState(fixture('python-state.safetensors')), pythonState());
  });

  test('writes the same state byte for byte as Python does, with a checksum that Python computes too', () => {
    const file = fixture('python-checksum.safetensors');
    saveState(path, pythonState());
    expect(readFileSync(path).equals(readFileSync(file))).toBe(true);
    expectSame(loadState(file), pythonState());
    expect({ ...loadMetadata(file) }).toEqual({});
  });

  test('reads metadata, and writes the same file', () => {
    const file = fixture('python-metadata.safetensors');
    expectSame(loadState(file), { weight: tensor([2], 'float32', 1) });
    const metadata = loadMetadata(file);
    expect({ ...metadata }).toEqual({ format: 'pt', note: 'é \n' });
    saveState(path, loadState(file), { metadata });
    expect(loadMetadata(path)).toEqual(metadata);
    // Python writes the texts in no certain order.
    saveState(path, loadState(file), { metadata: Object.fromEntries(Object.entries(metadata)) });
    expect(readFileSync(path).equals(readFileSync(file))).toBe(true);
  });

  test('widens float16', () => {
    const state = { fine: tensor([2], 'float32', 1), weight: tensor([2], 'float32', 1) };
    expectSame(loadState(fixture('python-float16.safetensors')), state);
  });
});
