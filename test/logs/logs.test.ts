// Logs of a training: event files, read by a decoder that knows nothing of their writer, and CSV.
import { execFileSync } from 'node:child_process';
import fs, { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  Adam,
  addingProblem,
  CsvLog,
  EvenkeelError,
  fit,
  Generator,
  Linear,
  LSTM,
  mseLoss,
  Sequential,
  Tensor,
  TensorBoardLog,
} from '../../lib/index';
import { frame, histogramValue, maskedCrc, scalarValue, summaryEvent, versionEvent } from '../../lib/logs/event-file';
import { histogramOf } from '../../lib/logs/histogram';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-logs-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Fields = Map<number, (bigint | Buffer)[]>;

/** The fields of a protocol buffer: integers, eight or four bytes, or bytes of a length. */
function fieldsOf(message: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = () => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = message[at++] as number;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
      shift += 7n;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const type = key & 7;
    const length = type === 0 ? 0 : type === 1 ? 8 : type === 5 ? 4 : Number(varint());
    const value = type === 0 ? varint() : message.subarray(at, at + length);
    at += length;
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

const only = (fields: Fields, field: number) => fields.get(field)?.[0] as Buffer;
const doublesOf = (bytes: Buffer) => Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));

interface Decoded {
  step: number;
  tag: string;
  value?: number;
  histogram?: { moments: number[]; limits: number[]; counts: number[] };
}

function decode(path: string): { version: string | undefined; values: Decoded[] } {
  const file = readFileSync(path);
  let version: string | undefined;
  const values: Decoded[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const message = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 8)).toBe(maskedCrc(file.subarray(at, at + 8)));
    expect(file.readUInt32LE(at + 12 + length)).toBe(maskedCrc(message));
    at += 16 + length;
    const event = fieldsOf(message);
    expect(only(event, 1).readDoubleLE()).toBeGreaterThan(1.7e9);
    if (event.has(3)) version = only(event, 3).toString();
    const step = Number((event.get(2)?.[0] as bigint | undefined) ?? 0n);
    for (const summary of event.get(5) ?? []) {
      for (const bytes of fieldsOf(summary as Buffer).get(1) ?? []) {
        const value = fieldsOf(bytes as Buffer);
        const tag = only(value, 1).toString();
        if (value.has(2)) values.push({ step, tag, value: only(value, 2).readFloatLE() });
        if (value.has(5)) {
          const histogram = fieldsOf(only(value, 5));
          const moments = [1, 2, 3, 4, 5].map((field) => only(histogram, field).readDoubleLE());
          values.push({ step, tag, histogram: { moments, limits: doublesOf(only(histogram, 6)), counts: doublesOf(only(histogram, 7)) } });
        }
      }
    }
  }
  return { version, values };
}

describe('an event file', () => {
  test('is, byte for byte, what TensorBoard writes', () => {
    const histogram = { min: -1.5, max: 2.5, count: 4, sum: 1.25, sumOfSquares: 9.5, limits: [-1, 1e-12, 3], counts: [1, 2, 1] };
    const events = [
      versionEvent(1234.5),
      summaryEvent(1235.25, 7, [scalarValue('step/loss', 0.1), scalarValue('étape', Number.NaN)]),
      summaryEvent(1236, 2 ** 40, [histogramValue('h', histogram)]),
    ];
    expect(Buffer.concat(events.map(frame)).toString('hex')).toBe(
      readFileSync(join(__dirname, '../fixtures/events.tfevents')).toString('hex'),
    );
  });

  test('has checksums by the polynomial of Castagnoli', () => {
    // RFC 3720, B.4: of 32 bytes of zeros, and of 0, 1, …, 31.
    const unmask = (masked: number) => {
      const rotated = (masked - 0xa282ead8) >>> 0;
      return ((rotated >>> 17) | (rotated << 15)) >>> 0;
    };
    expect(unmask(maskedCrc(new Uint8Array(32)))).toBe(0x8a9136aa);
    expect(unmask(maskedCrc(Uint8Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
  });

  test('holds a training’s numbers, weights, gradients and growth rates', async () => {
    const generator = new Generator(1);
    const model = new Sequential([
      new LSTM({ inputSize: 2, hiddenSize: 4, returnSequences: false, generator }),
      new Linear({ inputSize: 4, outputSize: 1, generator }),
    ]);
    const log = new TensorBoardLog(join(folder, 'runs', 'first'), { parameters: model.parameters(), histogramsEvery: 2 });
    const flows: unknown[] = [];
    const { loss, gradientFlow = [] } = await fit(model, addingProblem({ batchSize: 4, sequenceLength: 9, batches: 4, generator }), {
      loss: mseLoss,
      optimizer: new Adam(model.parameters()),
      onStep(record) {
        log.onStep(record);
        flows.push(record.gradientFlow && { step: record.step, ...record.gradientFlow });
      },
      gradientFlow: { every: 3 },
    });
    expect(flows).toEqual([gradientFlow[0], undefined, undefined, gradientFlow[1]]);
    log.onEpoch({ epoch: 1, step: 4, loss: 0.25, validation: { mae: 0.5 } });
    log.scalar('note', 1e300, 5);
    log.close();
    log.scalar('too late', 1, 6);
    const { version, values } = decode(log.path);
    expect(version).toBe('brain.Event:2');
    const of = (tag: string) => values.filter((value) => value.tag === tag);
    expect(of('step/loss').map(({ step, value }) => [step, value])).toEqual(loss.map((value, i) => [i + 1, Math.fround(value)]));
    expect(of('step/gradNorms.0.weight_hh_l0')).toHaveLength(4);
    expect(of('epoch/validation.mae')).toEqual([{ step: 4, tag: 'epoch/validation.mae', value: 0.5 }]);
    expect(of('growth-rate/0').map(({ step, value }) => [step, value])).toEqual(
      gradientFlow.map(({ step, layers }) => [step, Math.fround(layers[0]?.growthRate as number)]),
    );
    expect(of('note')[0]?.value).toBe(Number.POSITIVE_INFINITY);
    expect(of('too late')).toEqual([]);
    const last = of('parameters/1.weight').at(-1);
    const weights = Array.from(model.stateDict()['1.weight']?.data ?? []);
    expect([last?.step, last?.histogram?.moments.slice(0, 3)]).toEqual([4, [Math.min(...weights), Math.max(...weights), 4]]);
    expect(of('gradients/1.weight').map(({ step }) => step)).toEqual([2, 4]);
  });

  test('does not take the place of another', () => {
    const logs = [new TensorBoardLog(folder), new TensorBoardLog(folder)];
    expect(logs[0]?.path).not.toBe(logs[1]?.path);
    for (const log of logs) log.close();
    writeFileSync(join(folder, 'file'), '');
    expect(() => new TensorBoardLog(join(folder, 'file'))).toThrow('expected a folder, got a file. Choose another folder.');
    expect(() => logs[0]?.onStep({ step: 1, gradientFlow: 3 })).toThrow('flow: expected something readable');
    expect(() => logs[0]?.onStep({ loss: 1 })).toThrow('record: expected a record that fit gives');
  });
});

test('a histogram counts each finite value between the limits around it', () => {
  const special = fc.constantFrom(
    0,
    -0,
    1e-13,
    -1e-13,
    1e-12,
    -1e-12,
    1e21,
    -1e21,
    5e-324,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.MAX_VALUE,
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.double(), special), { maxLength: 40 }), (values) => {
      const finite = values.filter(Number.isFinite);
      const histogram = histogramOf(Float64Array.from(values));
      if (histogram === undefined) {
        expect(finite).toEqual([]);
        return;
      }
      const { limits, counts, count } = histogram;
      expect(count).toBe(finite.length);
      expect(counts.reduce((sum, one) => sum + one, 0)).toBe(count);
      for (const [i, limit] of limits.entries()) {
        const below = limits[i - 1] ?? Number.NEGATIVE_INFINITY;
        expect(limit).toBeGreaterThan(below);
        // The largest number of all belongs to the last.
        expect(counts[i]).toBe(finite.filter((value) => value >= below && (value < limit || limit === Number.MAX_VALUE)).length);
      }
    }),
    { numRuns: 300 },
  );
});

/** From now on a write takes so many bytes, and the next none. */
function failAfter(bytes: number): void {
  const { writeSync } = fs;
  const write = (descriptor: number, data: Uint8Array, from: number) => {
    if (from > 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    return writeSync(descriptor, data, 0, bytes);
  };
  jest.spyOn(fs, 'writeSync').mockImplementation(write as never);
}

test('an event is in the file a second after it came, and when the process ends', async () => {
  const log = new TensorBoardLog(join(folder, 'timely'));
  log.scalar('a', 1, 1);
  expect(decode(log.path).values).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(decode(log.path).values).toHaveLength(1);
  log.close();
  const at = join(folder, 'exit');
  const script = `new (require(${JSON.stringify(join(__dirname, '../..'))}).TensorBoardLog)(${JSON.stringify(at)}).scalar('a', 1, 1)`;
  execFileSync(process.execPath, ['-e', script]);
  expect(decode(join(at, fs.readdirSync(at)[0] as string)).values).toHaveLength(1);
});

describe('a CSV log', () => {
  const path = join(folder, 'log.csv');
  const lines = () => readFileSync(path, 'utf8').split('\n');

  test('has a row for each record, and goes on where a training does', () => {
    const log = new CsvLog(path);
    for (const step of [1, 2, 3]) log.onStep({ step, loss: 1 / step, skipped: step === 2, gradNorms: { 'a,b': 2 }, note: 'no number' });
    log.close();
    log.onStep({ step: 4 });
    expect(lines()).toEqual(['step,loss,skipped,"gradNorms.a,b"', '1,1,0,2', '2,0.5,1,2', `3,${1 / 3},0,2`, '']);
    writeFileSync(path, `${lines().join('\n')}4,0.2`);
    const next = new CsvLog(path, { append: true });
    next.onStep({ step: 3, loss: Number.NaN, skipped: false, gradNorms: { 'a,b': 5 } });
    next.close();
    expect(lines().slice(1)).toEqual(['1,1,0,2', '2,0.5,1,2', '3,NaN,0,5', '']);
    const other = new CsvLog(path, { append: true });
    expect(() => other.onEpoch({ step: 1, loss: 2 })).toThrow('expected a log with the columns step,loss, got step,loss,skipped');
    for (const text of ['"no log\n', '\n', 'no,log\n']) {
      writeFileSync(path, text);
      expect(() => new CsvLog(path, { append: true }).onEpoch({ step: 1, loss: 2 })).toThrow(
        'expected a log with the columns step,loss, got',
      );
      expect(readFileSync(path, 'utf8')).toBe(text);
    }
    const anew = new CsvLog(path);
    anew.onEpoch({ step: 1, loss: 2 });
    anew.close();
    expect(lines()).toEqual(['step,loss', '1,2', '']);
  });

  test('has each row in the file when its step ends', () => {
    const log = new CsvLog(path);
    for (const step of [1, 2]) {
      log.onStep({ step });
      expect(lines()).toHaveLength(step + 2);
    }
    log.close();
  });

  test('keeps its rows whole, and all of them, where the disk is full for a while', () => {
    const log = new CsvLog(path);
    log.onStep({ step: 1, loss: 0.5 });
    failAfter(3);
    expect(() => log.onStep({ step: 2, loss: 0.25 })).toThrow('The disk is full.');
    expect(lines()).toEqual(['step,loss', '1,0.5', '']);
    jest.restoreAllMocks();
    log.onStep({ step: 3, loss: 0.125 });
    log.close();
    expect(lines()).toEqual(['step,loss', '1,0.5', '2,0.25', '3,0.125', '']);
  });

  test('ends for good where a part of a row cannot be taken back', () => {
    const log = new CsvLog(path);
    log.onStep({ step: 1 });
    failAfter(1);
    jest.spyOn(fs, 'ftruncateSync').mockImplementation(() => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    });
    expect(() => log.onStep({ step: 22 })).toThrow('The disk is full.');
    jest.restoreAllMocks();
    expect(() => log.onStep({ step: 33 })).toThrow('EIO');
    expect(() => log.close()).toThrow('EIO');
    expect(lines()).toEqual(['step', '1', '2']);
  });

  test('has the columns of a validation that comes later, and goes on without it', () => {
    const log = new CsvLog(path);
    log.onEpoch({ epoch: 1, step: 2, loss: 3 });
    log.onEpoch({ epoch: 2, step: 4, loss: 2, validation: { 'a,b': 5 } });
    log.onEpoch({ epoch: 3, step: 6, loss: 1 });
    log.close();
    const header = 'epoch,step,loss,"validation.a,b"';
    expect(lines()).toEqual([header, '1,2,3,', '2,4,2,5', '3,6,1,', '']);
    const next = new CsvLog(path, { append: true });
    next.onEpoch({ epoch: 3, step: 6, loss: 0.5 });
    next.onEpoch({ epoch: 4, step: 8, loss: 0, validation: { 'a,b': 4, c: 1 } });
    next.close();
    expect(lines()).toEqual([`${header},validation.c`, '1,2,3,,', '2,4,2,5,', '3,6,0.5,,', '4,8,0,4,1', '']);
  });

  test.each<[string, () => void]>([
    [
      'reopened',
      () => {
        const { openSync } = fs;
        const open = (file: string, flags: string) => {
          if (flags === 'a') throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
          return openSync(file, flags);
        };
        jest.spyOn(fs, 'openSync').mockImplementation(open as never);
      },
    ],
    [
      'written anew',
      () => {
        jest.spyOn(fs, 'renameSync').mockImplementation(() => {
          throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
        });
      },
    ],
  ])('keeps the rows that come while a file with a new column cannot be %s, and says that it cannot', (_, fail) => {
    const log = new CsvLog(path);
    log.onEpoch({ step: 1, loss: 3 });
    fail();
    expect(() => log.onEpoch({ step: 2, loss: 2, validation: { loss: 5 } })).toThrow(`${path}: could not write the file.`);
    expect(() => log.onEpoch({ step: 3, loss: 1 })).toThrow(`${path}: could not write the file.`);
    jest.restoreAllMocks();
    log.onEpoch({ step: 4, loss: 0, validation: { loss: 4 } });
    log.close();
    expect(lines()).toEqual(['step,loss,validation.loss', '1,3,', '2,2,5', '3,1,', '4,0,4', '']);
  });

  test('keeps its first row where the file could not be opened', () => {
    const log = new CsvLog(path);
    jest.spyOn(fs, 'renameSync').mockImplementation(() => {
      throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    });
    expect(() => log.onEpoch({ step: 1, loss: 3 })).toThrow(EvenkeelError);
    jest.restoreAllMocks();
    log.flush();
    expect(lines()).toEqual(['step,loss', '1,3', '']);
    log.close();
  });

  test('is tried when it is made', () => {
    expect(() => new CsvLog(join(folder, 'nowhere', 'log.csv'))).toThrow(EvenkeelError);
    expect(() => new CsvLog(path, { append: 1 as never })).toThrow('append: expected true or false');
    expect(() => new CsvLog(path).onStep(new Tensor(new Float32Array(1), [1]))).toThrow('record: expected a record');
  });
});
