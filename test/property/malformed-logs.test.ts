// Malformed arguments of logs: see calls.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CsvLog, Tensor, TensorBoardLog } from '../../lib/index';
import { type Accepts, hasNoKeys, isBoolean, isInteger, makeSequential, never, optional, tensor, testCalls } from './calls';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
const log = new TensorBoardLog(join(folder, 'runs'));
// Hostile texts are paths as well as others.
const before = process.cwd();
beforeAll(() => process.chdir(folder));
afterAll(() => {
  log.close();
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const isText: Accepts = (value) => typeof value === 'string';
const isStep = isInteger(0, Number.MAX_SAFE_INTEGER);

testCalls({
  'new TensorBoardLog': {
    make: () => [join(folder, 'runs'), { parameters: makeSequential().parameters(), histogramsEvery: 5 }],
    call: (path, options) => new TensorBoardLog(path as string, options as object).close(),
    places: {
      0: isText,
      1: optional(hasNoKeys),
      '1.parameters': optional(never),
      '1.histogramsEvery': optional(isInteger(1, Number.MAX_SAFE_INTEGER)),
    },
  },
  'TensorBoardLog.onStep': {
    make: () => [{ step: 1, loss: 2 }],
    call: (record) => log.onStep(record as object),
    places: { 0: never, '0.step': isStep },
  },
  'TensorBoardLog.histogram': {
    make: () => ['a', tensor([3]), 1],
    call: (name, values, step) => log.histogram(name as string, values as Tensor, step as number),
    places: { 0: isText, 1: Tensor.isTensor, 2: isStep },
  },
  'new CsvLog': {
    make: () => [join(folder, 'log.csv'), { append: true }],
    call: (path, options) => new CsvLog(path as string, options as object).close(),
    places: { 0: isText, 1: optional(hasNoKeys), '1.append': optional(isBoolean) },
  },
});
