// Any state, any damage, any header.
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { EvenkeelError } from '../../lib/errors';
import { loadMetadata, loadState, saveState } from '../../lib/io/safetensors';
import { Tensor } from '../../lib/tensor';
import { expectSame, fixture, path, writeFile } from './safetensors-files';

describe('properties', () => {
  const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
  const anyTensor = fc.tuple(shapes, fc.boolean(), fc.infiniteStream(fc.double())).map(([shape, wide, numbers]) => {
    const result = Tensor.zeros(shape, { dtype: wide ? 'float64' : 'float32' });
    for (let i = 0; i < result.size; i++) result.data[i] = numbers.next().value as number;
    return result;
  });
  const names = fc.oneof(fc.string({ unit: 'grapheme', minLength: 1 }), fc.constantFrom('__proto__', 'constructor', '0', '\\', '"'));
  const states = fc.dictionary(
    names.filter((name) => name !== '__metadata__' && !/\p{Surrogate}/u.test(name)),
    anyTensor,
    { maxKeys: 6 },
  );

  const texts = fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((name) => !/\p{Surrogate}/u.test(name)),
    fc.string({ unit: 'grapheme' }).filter((text) => !/\p{Surrogate}/u.test(text)),
  );

  test('what was saved loads back bit by bit', () => {
    fc.assert(
      fc.property(states, texts, fc.boolean(), (state, metadata, checksum) => {
        saveState(path, state, { metadata, checksum });
        expectSame(loadState(path), state);
        expect({ ...loadMetadata(path) }).toEqual({ ...metadata });
      }),
      { numRuns: 200 },
    );
  });

  test('a damaged file loads whole or is refused with ERR_FILE', () => {
    const file = readFileSync(fixture('python-state.safetensors'));
    const headerEnd = 8 + Number(file.readBigUInt64LE());
    const place = fc.oneof(fc.nat(headerEnd - 1), fc.nat(file.length - 1));
    const damage = fc.oneof(
      fc.record({ at: place, bit: fc.nat(7) }).map(({ at, bit }) => {
        const copy = Buffer.from(file);
        copy[at] = (copy[at] as number) ^ (1 << bit);
        return { copy, isHarmless: at >= headerEnd };
      }),
      place.map((at) => ({ copy: file.subarray(0, at), isHarmless: false })),
      fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 20 })).map(([at, extra]) => ({
        copy: Buffer.concat([file.subarray(0, at), extra, file.subarray(at)]),
        isHarmless: false,
      })),
    );
    let refused = 0;
    fc.assert(
      fc.property(damage, ({ copy, isHarmless }) => {
        writeFileSync(path, copy);
        try {
          const state = loadState(path);
          // A flip in the header can change a name or swap equal sizes, but never what the tensors cover.
          const covered = Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0);
          expect(covered).toBe(copy.length - 8 - Number(copy.readBigUInt64LE()));
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect([error.code, isHarmless]).toEqual(['ERR_FILE', false]);
          refused++;
        }
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(1000);
  });

  test('any header text is refused with ERR_FILE or loads', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      ' ',
      '"a"',
      '"b"',
      '"dtype"',
      '"F32"',
      '"shape"',
      '"data_offsets"',
      '"__metadata__"',
      '0',
      '4',
      '-1',
      '1.5',
      'null',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        writeFile(`{${tokens.join('')}`, 4);
        try {
          loadState(path);
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect(error.code).toBe('ERR_FILE');
        }
      }),
      { numRuns: 1000 },
    );
  });
});
