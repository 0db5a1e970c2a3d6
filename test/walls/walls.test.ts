import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { circlesInTypeScript, nativeLayers, packages, rooms, type Sources, violationsInCpp, violationsInTypeScript } from './walls';

const root = join(__dirname, '../..');

function sourcesUnder(folder: string, pattern: RegExp): Sources {
  const files = readdirSync(join(root, folder), { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && pattern.test(entry.name),
  );
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [relative(root, path), readFileSync(path, 'utf8')];
    }),
  );
}

describe('the walls of lib/', () => {
  const sources = sourcesUnder('lib', /\.ts$/);

  test('no import breaks one', () => {
    expect(Object.keys(sources).length).toBeGreaterThan(20);
    expect(violationsInTypeScript(sources)).toEqual([]);
  });

  test('no files import each other in a circle', () => {
    expect(circlesInTypeScript(sources)).toEqual([]);
  });

  test.each([
    ['two files', { 'lib/a.ts': `import type { B } from './b';`, 'lib/b.ts': `export * from './a';` }, [['lib/a.ts', 'lib/b.ts']]],
    [
      'three, behind another',
      {
        'lib/a.ts': `import './io/b';`,
        'lib/io/b.ts': `import './c';`,
        'lib/io/c.ts': `import { x } from '../d';`,
        'lib/d.ts': `const b = require('./io/b');`,
      },
      [['lib/io/b.ts', 'lib/io/c.ts', 'lib/d.ts']],
    ],
    [
      'none in a diamond',
      { 'lib/a.ts': `import './b'; import './c';`, 'lib/b.ts': `import './d';`, 'lib/c.ts': `import './d';`, 'lib/d.ts': '' },
      [],
    ],
  ])('a circle: %s', (_, files, circles) => {
    expect(circlesInTypeScript(files)).toEqual(circles);
  });

  test('every room and package of the tables exists', () => {
    const existing = new Set(Object.keys(sources).map((file) => file.split('/')[1]?.replace(/\.ts$/, '')));
    expect(Object.keys(rooms).filter((room) => !existing.has(room))).toEqual([]);
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(
      Object.keys(packages).filter((name) => !(name in dependencies || name in peerDependencies || name.startsWith('@evenkeel/'))),
    ).toEqual([]);
  });

  test.each([
    ['a layer that knows training', 'lib/layers/rnn.ts', `import { fit } from '../training/fit';`],
    ['an optimizer that knows a layer', 'lib/optimizers/sgd.ts', `import type { Layer } from '../layers/layer';`],
    ['a clipper that knows a layer', 'lib/clipping/norm.ts', `export { RNN } from '../layers/rnn';`],
    ['training that reaches the addon through require', 'lib/io/save.ts', `const native = require('../native/load');`],
    ['an import() across a wall', 'lib/layers/rnn.ts', `const page = await import('../report/page');`],
    ['an import of the index', 'lib/layers/rnn.ts', `import { Tensor } from '../index';`],
    ['an import from outside lib/', 'lib/layers/rnn.ts', `import { close } from '../../test/helpers/compare';`],
    ['a chart library outside report/', 'lib/study/run.ts', `import * as Plot from '@observablehq/plot';`],
    ['a package without a row', 'lib/layers/rnn.ts', `import pad from 'left-pad';`],
    ['a room without a row', 'lib/attic/rnn.ts', ''],
  ])('%s is found', (_, file, text) => {
    expect(violationsInTypeScript({ [file]: text })).toEqual([expect.stringContaining(file)]);
  });

  test.each([
    ['a neighbour', 'lib/layers/rnn.ts', `import { Linear } from './linear';`],
    ['a room further in', 'lib/layers/rnn.ts', `import { Tensor } from '../tensor';`],
    ['a built-in of Node', 'lib/io/file.ts', `import { openSync } from 'node:fs';`],
    ['a part of an allowed package', 'lib/data/csv.ts', `import { parse } from 'csv-parse/sync';`],
    ['everything, for the index', 'lib/index.ts', `export { RNN } from './layers/rnn';`],
    ['the word import in a text', 'lib/layers/rnn.ts', `const text = "import { fit } from '../training/fit'";`],
  ])('%s is let through', (_, file, text) => {
    expect(violationsInTypeScript({ [file]: text })).toEqual([]);
  });
});

describe('the walls of native/', () => {
  const sources = sourcesUnder('native', /\.(cc|h)$/);

  test('no include breaks one', () => {
    expect(Object.keys(sources).length).toBeGreaterThan(10);
    expect(violationsInCpp(sources)).toEqual([]);
  });

  test('every layer of the table exists', () => {
    for (const layer of nativeLayers) expect(Object.keys(sources).some((file) => file.startsWith(`native/${layer}/`))).toBe(true);
  });

  test.each([
    ['BLAS outside gemm', 'native/layers/recurrent/blas.cc', '#include <cblas.h>'],
    ['LAPACK', 'native/kernels/qr.cc', '#include <lapacke.h>'],
    ['N-API in a kernel', 'native/kernels/gemm.cc', '#include <napi.h>'],
    ['N-API below the binding', 'native/layers/linear.h', '#include "node_api.h"'],
    ['intrinsics in a layer', 'native/layers/linear.cc', '#include <immintrin.h>'],
    ['Highway in a layer', 'native/layers/linear.cc', '  #  include "hwy/highway.h"'],
    ['a kernel that knows a layer', 'native/kernels/gemm.h', '#include "layers/recurrent/recurrent.h"'],
    ['the core that knows a kernel', 'native/core/shape.h', '#include "kernels/gemm.h"'],
  ])('%s is found', (_, file, text) => {
    expect(violationsInCpp({ [file]: text })).toEqual([expect.stringContaining(file)]);
  });

  test.each([
    ['BLAS in gemm', 'native/kernels/gemm.cc', '#include <cblas.h>'],
    ['N-API in the binding', 'native/binding/layers.cc', '#include <napi.h>\n#include "layers/recurrent/recurrent.h"'],
    ['the core in a layer', 'native/layers/linear.cc', '#include "core/thread_pool.h"\n#include <vector>'],
    ['the binding in the module', 'native/addon.cc', '#include "binding/layers.h"'],
  ])('%s is let through', (_, file, text) => {
    expect(violationsInCpp({ [file]: text })).toEqual([]);
  });
});
