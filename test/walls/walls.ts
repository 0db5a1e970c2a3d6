/**
 * The walls of the house as tables, and the checker that reads imports against them. A room is a folder of lib/ or a file right below it;
 * its name is the first part of the path: `layers`, `tensor`. A new room needs a row here and its line in CONTRIBUTING.md.
 */
import { posix } from 'node:path';
import ts from 'typescript';
import { binaryPlatforms } from '../../lib/native/binary-packages';

const base = ['tensor', 'lengths', 'typed-arrays', 'workspace', 'state-dict', 'check', 'errors', 'random', 'memory', 'cgroup'];
const models = [...base, 'parameter', 'sparse-rows', 'layers', 'losses', 'optimizers', 'clipping', 'metrics'];
const study = [...models, 'io', 'runtime', 'stability', 'training', 'data', 'report', 'progress', 'slices', 'text-table'];

/** Room → the rooms that it may import from, besides itself. */
export const rooms: Record<string, readonly string[]> = {
  errors: [],
  check: base,
  'typed-arrays': base,
  tensor: base,
  workspace: base,
  lengths: base,
  'state-dict': base,
  random: base,
  // Where shared memory lies, the addon alone can tell.
  aliasing: [...base, 'native'],
  parameter: [...base, 'aliasing'],
  schema: base,
  'sparse-rows': [...base, 'native'],
  // An addon of another version is refused.
  native: [...base, 'version'],
  io: [...base, 'memory'],
  memory: base,
  cgroup: base,
  progress: [],
  slices: [],
  version: [],
  'optional-package': [],
  'text-table': [],
  runtime: [...base, 'native', 'version'],
  initializers: base,
  layers: [...base, 'text-table', 'native', 'aliasing', 'memory', 'schema', 'parameter', 'initializers', 'sparse-rows'],
  losses: [...base, 'native'],
  metrics: [...base, 'losses'],
  optimizers: [...base, 'native', 'parameter', 'sparse-rows'],
  clipping: [...base, 'native', 'parameter', 'sparse-rows'],
  data: [...base, 'io', 'losses', 'slices'],
  stability: [...models, 'initializers'],
  // A page of a training, drawn by packages that are loaded when one is.
  training: [...models, 'stability', 'io', 'report', 'version'],
  interop: [...models, 'io', 'memory', 'optional-package', 'schema', 'version'],
  model: [...models, 'initializers', 'io', 'version'],
  logs: [...base, 'parameter', 'stability', 'io'],
  report: [...base, 'text-table', 'optional-package'],
  study,
  forecast: [...study, 'model', 'schema'],
  // A file's lock is the kernel's, reached through the addon.
  sweep: [...study, 'initializers', 'memory', 'native', 'optional-package'],
  // evenkeel's own driver sees what its users see: the index.
  bench: [...study, 'native', 'initializers', 'index'],
  // `evenkeel build` makes and opens the addon.
  cli: [...study, 'study', 'forecast', 'sweep', 'bench', 'native', 'version'],
};

/** The only rooms that may import each package; one that is not listed may be imported nowhere in lib/. */
export const packages: Record<string, readonly string[]> = {
  '@observablehq/plot': ['report'],
  linkedom: ['report'],
  // Loaded for files of Keras alone, if they are installed.
  fflate: ['interop'],
  jsfive: ['interop'],
  'csv-parse': ['data'],
  'cli-progress': ['cli'],
  commander: ['cli'],
  workerpool: ['sweep'],
  // One for each platform, of which one is installed.
  ...Object.fromEntries(binaryPlatforms.map((platform) => [`@evenkeel/${platform}`, ['native']])),
  yaml: ['io'],
  // Loaded by sweeps over a queue alone, if they are installed.
  bullmq: ['sweep'],
  ioredis: ['sweep'],
};

/** Header → the only files of native/ that may include it. */
export const headers: readonly { header: RegExp; allowed: RegExp; why: string }[] = [
  { header: /^cblas\.h$/, allowed: /^native\/kernels\/gemm\.(h|cc)$/, why: 'BLAS is called in kernels/gemm alone' },
  { header: /^lapack/, allowed: /^$/, why: 'OpenBLAS may have been built without LAPACK' },
  {
    header: /^(napi\.h|node_api\.h|js_native_api\.h)$/,
    allowed: /^native\/(addon\.cc$|binding\/)/,
    why: 'N-API is known in binding/ and addon.cc alone',
  },
  { header: /^hwy\//, allowed: /^native\/kernels\//, why: 'SIMD is written in kernels/ alone' },
  { header: /^\w*intrin\.h$/, allowed: /^native\/(kernels|core)\//, why: 'layers and the binding know no processor' },
];

/** From the outermost to the innermost: each may include those after it. */
export const nativeLayers = ['binding', 'layers', 'kernels', 'core'];

export type Sources = Record<string, string>;

/** Everything that breaks a wall of lib/: `lib/a.ts imports …: why`. */
export function violationsInTypeScript(sources: Sources): string[] {
  return Object.entries(sources).flatMap(([file, text]) => {
    const room = roomOf(file);
    // The index gives out what is public, and nothing imports it.
    if (room === 'index') return [];
    const allowed = rooms[room];
    if (allowed === undefined) return [`${file}: the room "${room}" has no row in test/walls/walls.ts`];
    return importsOf(text)
      .map((specifier) => (specifier.startsWith('.') ? reachedRoom(file, specifier, room, allowed) : reachedPackage(specifier, room)))
      .filter((problem) => problem !== undefined)
      .map((problem) => `${file} ${problem}`);
  });
}

/** Files of lib/ that import each other, directly or by way of others, types as well: one list for each such circle. */
export function circlesInTypeScript(sources: Sources): string[][] {
  const imports = (file: string) =>
    importsOf(sources[file] ?? '')
      .filter((specifier) => specifier.startsWith('.'))
      .map((specifier) => `${posix.join(posix.dirname(file), specifier)}.ts`)
      .filter((target) => target in sources);
  const circles: string[][] = [];
  const left = new Set<string>();
  const path: string[] = [];
  const visit = (file: string) => {
    const from = path.indexOf(file);
    if (from !== -1) circles.push(path.slice(from));
    if (from !== -1 || left.has(file)) return;
    path.push(file);
    for (const target of imports(file)) visit(target);
    left.add(path.pop() as string);
  };
  for (const file of Object.keys(sources)) visit(file);
  return circles;
}

/** Everything that breaks a wall of native/. */
export function violationsInCpp(sources: Sources): string[] {
  return Object.entries(sources).flatMap(([file, text]) =>
    includesOf(text).flatMap((header) => [
      ...headers
        .filter((wall) => wall.header.test(header) && !wall.allowed.test(file))
        .map((wall) => `${file} includes ${header}: ${wall.why}`),
      ...(pointsOutwards(file, header) ? [`${file} includes ${header}: includes go ${['addon', ...nativeLayers].join(' → ')}`] : []),
    ]),
  );
}

/** What a TypeScript source imports, in whatever form: import, import type, export from, import(), require(). */
function importsOf(text: string): string[] {
  const { importedFiles } = ts.preProcessFile(text, true, true);
  return importedFiles.map((file) => file.fileName).filter((name) => !name.startsWith('node:'));
}

function roomOf(file: string): string {
  return (file.split('/')[1] ?? '').replace(/\.ts$/, '');
}

function reachedRoom(file: string, specifier: string, room: string, allowed: readonly string[]): string | undefined {
  const target = posix.join(posix.dirname(file), specifier);
  const reached = roomOf(target);
  return target.startsWith('lib/') && (reached === room || allowed.includes(reached))
    ? undefined
    : `imports ${specifier}: ${room} must not know ${reached}`;
}

function reachedPackage(specifier: string, room: string): string | undefined {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const allowed = packages[name];
  if (allowed === undefined) return `imports ${specifier}: the package ${name} has no row in test/walls/walls.ts`;
  return allowed.includes(room) ? undefined : `imports ${specifier}: only ${allowed.join(', ')} may`;
}

function includesOf(text: string): string[] {
  return [...text.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)].map((match) => match[1] ?? '');
}

function pointsOutwards(file: string, header: string): boolean {
  const from = nativeLayers.indexOf(file.split('/')[1] ?? '');
  const to = nativeLayers.indexOf(header.split('/')[0] ?? '');
  // addon.cc stands outside all layers, a system header in none.
  return from !== -1 && to !== -1 && to < from;
}
