// A model is one file: whatever was saved comes back, and nothing else does.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as api from '../../lib/index';
import {
  Dropout,
  EvenkeelError,
  GRU,
  LastStep,
  type Layer,
  Linear,
  LSTM,
  loadMetadata,
  loadModel,
  loadState,
  RNN,
  registerLayer,
  Sequential,
  saveModel,
  saveState,
  Tensor,
} from '../../lib/index';
import { buildLayer } from '../../lib/model/architecture';
import { makerOf } from '../../lib/model/layer-classes';
import { readBy, type Schema, writeBy } from '../../lib/schema';
import { evenkeelError } from '../helpers/errors';
import { models, Scale } from './layers';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-model-'));
const path = join(folder, 'model.safetensors');
afterAll(() => rmSync(folder, { recursive: true }));

const bits = ({ data }: Tensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
const stateOf = (model: Layer) => Object.entries(model.stateDict()).map(([name, tensor]) => [name, tensor.shape, bits(tensor)]);

function errorOf(action: () => unknown): EvenkeelError {
  try {
    action();
  } catch (error) {
    if (error instanceof EvenkeelError) return error;
    throw error;
  }
  throw new Error('expected an EvenkeelError, but nothing was thrown');
}

/** Changes a file's description, with a checksum that is right again. */
function rewrite(change: (description: Record<string, unknown>) => unknown, state = loadState(path)): void {
  const text = loadMetadata(path)['evenkeel.model'] as string;
  saveState(path, state, { metadata: { 'evenkeel.model': JSON.stringify(change(JSON.parse(text))) }, checksum: true });
}

describe('what was saved comes back', () => {
  test.each(models)('$name', ({ make, input }) => {
    const model = make();
    saveModel(path, model);
    const loaded = loadModel(path);
    expect(loaded.constructor).toBe(model.constructor);
    expect(loaded.options).toStrictEqual(model.options);
    expect(stateOf(loaded)).toEqual(stateOf(model));
    const predict = (layer: Layer) => (layer.predict === undefined ? layer.forward(input) : layer.predict(input));
    expect(bits(predict(loaded))).toBe(bits(predict(model)));
  });

  test('a loaded model trains as the saved one', () => {
    const model = new Sequential([new LSTM({ inputSize: 2, hiddenSize: 3, stateGradientLimit: 0.01 }), new Scale({ size: 3, factor: 2 })]);
    saveModel(path, model);
    const gradients = [model, loadModel<Sequential>(path)].map((one) => {
      const output = one.forward(
        Tensor.from([
          [
            [1, 2],
            [3, 4],
          ],
        ]),
      );
      one.backward(output);
      return one.parameters().map(({ name, grad }) => [name, bits(grad)]);
    });
    expect(gradients[1]).toEqual(gradients[0]);
  });

  test('texts stand beside the model', () => {
    saveModel(path, new LastStep(), { metadata: { unit: '°C' } });
    expect(loadMetadata(path).unit).toBe('°C');
    expect(loadModel(path)).toBeInstanceOf(LastStep);
  });

  test.each(['evenkeel.model', 'evenkeel.sha256'])('a text under %s, which would be lost, is refused', (name) => {
    expect(() => saveModel(path, new LastStep(), { metadata: { [name]: 'mine' } })).toThrow(
      evenkeelError('ERR_OPTION', `metadata: expected names other than ${name}`),
    );
  });

  test('initial values are not computed for nothing', () => {
    saveModel(path, new RNN({ inputSize: 1, hiddenSize: 400, recurrentInitializer: 'orthogonal' }));
    const milliseconds = (run: () => unknown) => {
      const begin = performance.now();
      run();
      return performance.now() - begin;
    };
    const [load, make] = [() => loadModel(path), () => new RNN({ inputSize: 1, hiddenSize: 400, recurrentInitializer: 'orthogonal' })].map(
      milliseconds,
    );
    expect(load).toBeLessThan(make as number);
  });

  test('every layer of the package has a name', () => {
    const layers = Object.values(api).filter((value) => typeof value === 'function' && typeof value.prototype?.forward === 'function');
    const concrete = layers.filter((value) => value !== api.BaseLayer) as (new () => Layer)[];
    expect(concrete.length).toBeGreaterThan(8);
    expect(concrete.filter(({ name }) => makerOf(name) === undefined)).toEqual([]);
  });

  const schemas = Object.entries(api).flatMap(([name, value]) =>
    typeof value === 'function' && 'schema' in value ? [[name, value.schema as Schema] as const] : [],
  );
  test('every option is read back as it was', () => {
    expect(schemas.length).toBeGreaterThan(7);
    const given: Record<string, unknown> = {
      zoneout: 0.5,
      truncateAfter: 7,
      stateGradientLimit: 0.5,
      checkpointing: { every: 3 },
      forgetBias: -1,
      projSize: 2,
      paddingIndex: 1,
      p: 0.125,
      eps: 0.5,
      dropout: 0.25,
      recurrentDropout: 0.75,
    };
    for (const [name, schema] of schemas) {
      const options = Object.entries(schema).map(([option, { choices, default: otherwise }]) => {
        const another = typeof otherwise === 'boolean' ? !otherwise : choices?.at(-1);
        return [option, given[option] ?? another ?? (option === 'generator' ? undefined : 3)];
      });
      for (const one of [
        Object.fromEntries(options),
        Object.fromEntries(options.filter(([option]) => /Size$|^(size|kind)$/.test(String(option)))),
      ]) {
        const { generator: _, ...checked } = readBy(name, one, schema);
        const { generator: __, ...again } = readBy(name, JSON.parse(JSON.stringify(writeBy(schema, readBy(name, one, schema)))), schema);
        expect([name, again]).toStrictEqual([name, checked]);
      }
    }
  });
});

describe('what cannot be saved', () => {
  class Unknown extends LastStep {}
  class Silent extends LastStep {
    override get options(): undefined {
      return undefined;
    }
  }
  class Cyclic extends LastStep {
    override get options(): Record<string, unknown> {
      const list: unknown[] = [];
      list.push(list);
      return { list };
    }
  }
  class WithFunction extends LastStep {
    override get options(): Record<string, unknown> {
      return { activation: Math.tanh };
    }
  }
  registerLayer('test.Silent', Silent);
  registerLayer('test.Cyclic', Cyclic);
  registerLayer('test.WithFunction', WithFunction);

  test.each([
    [new Unknown(), 'model.layers[0]: expected a layer whose class has a name, got an instance of Unknown. Call registerLayer('],
    [new Silent(), 'model.layers[0].options: expected a record of what the constructor takes, got undefined'],
    [new Cyclic(), 'at most 100 deep'],
    [
      new WithFunction(),
      'model.layers[0].activation: expected a number, a text, a boolean, a layer, or an array or record of these, got a function',
    ],
  ])('%#', (layer, message) => {
    const error = errorOf(() => saveModel(path, new Sequential([layer])));
    expect(error.code).toBe('ERR_OPTION');
    expect(error.message).toContain(message);
  });

  test('names are given once', () => {
    registerLayer('test.Scale', Scale);
    expect(errorOf(() => registerLayer('test.Scale', LastStep)).message).toContain('expected "LastStep", the name by which');
    expect(errorOf(() => registerLayer('LSTM', class extends LastStep {})).message).toContain('a name that no other class has');
  });
});

describe('what cannot be loaded', () => {
  const save = () =>
    saveModel(path, new Sequential({ rnn: new GRU({ inputSize: 2, hiddenSize: 3 }), out: new Linear({ inputSize: 3, outputSize: 1 }) }));
  type Described = {
    format: number;
    evenkeel: string;
    model: { options: { layers: Record<string, { $layer: string; options: Record<string, unknown> }> } };
  };
  const layerOf = (description: Record<string, unknown>) =>
    (description as Described).model.options.layers.rnn as { $layer: string; options: Record<string, unknown> };
  const option = (name: string, value: unknown) => (description: Record<string, unknown>) => {
    layerOf(description).options[name] = value;
    return description;
  };

  test.each<[string, (description: Record<string, unknown>) => unknown, string]>([
    [
      'a later form',
      (d) => ({ ...d, format: 2, evenkeel: '9.0.0' }),
      'expected a description of format 1, got format 2 of evenkeel "9.0.0". Install a newer evenkeel.',
    ],
    ['no form', () => 3, 'expected a format'],
    ['no model', ({ format }) => ({ format }), 'model: expected a layer, got undefined'],
    [
      'an unknown layer',
      (d) => Object.assign(layerOf(d), { $layer: 'GRUs' }) && d,
      'model.layers.rnn: expected a layer that is known, got "GRUs". Call registerLayer',
    ],
    ['a layer of Object', (d) => Object.assign(layerOf(d), { $layer: 'constructor' }) && d, 'expected a layer that is known'],
    ['an unknown option', option('peepholes', true), 'unknown option "peepholes"'],
    [
      'of another version',
      (d) => option('peepholes', true)({ ...d, evenkeel: '0.3.0' }),
      'written by evenkeel "0.3.0", model.layers.rnn: GRU options: unknown option',
    ],
    ['of a version without text', (d) => ({ ...d, format: 2, evenkeel: { toString: 1 } }), 'got format 2 of evenkeel "an object"'],
    ['an option out of range', option('numLayers', 1e9), 'numLayers: expected an integer from 1 to 1000'],
    ['more of a layer', (d) => Object.assign(layerOf(d), { note: 1 }) && d, 'got "note"'],
    ['another size', option('hiddenSize', 2), 'its tensors are not those of its architecture'],
    ['another dtype', option('dtype', 'float64'), 'expected no more than the file has values for'],
    ['a size beyond the data', option('hiddenSize', 2 ** 31 - 1), 'expected no more than the file has values for'],
    ['sizes beyond all numbers', option('inputSize', 2 ** 31 - 1), 'expected no more than the file has values for'],
    ['many layers', option('numLayers', 1000), 'expected no more than the file has values for'],
    ['a number that is none', option('inputSize', { $number: '7' }), 'expected $number with one of Infinity'],
    ['a key of nobody', option('inputSize', { $size: 7 }), 'expected the names of options, got "$size"'],
    ['something deep', option('inputSize', JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`)), 'options at most 100 deep'],
  ])('%s', (_, change, message) => {
    save();
    rewrite(change);
    const error = errorOf(() => loadModel(path));
    expect(error.message).toContain(message);
    expect(error.message.startsWith(path)).toBe(true);
    expect(error.code).toBe('ERR_FILE');
  });

  test('tensors of another model', () => {
    save();
    rewrite((description) => description, {});
    expect(errorOf(() => loadModel(path)).code).toBe('ERR_FILE');
  });

  test('a file of tensors alone, without a checksum, or whose class throws', () => {
    saveState(path, { w: Tensor.zeros([2]) });
    expect(errorOf(() => loadModel(path)).message).toContain('It was not written by saveModel');
    save();
    const metadata = loadMetadata(path);
    saveState(path, loadState(path), { metadata });
    expect(errorOf(() => loadModel(path)).message).toContain('expected a checksum of its contents');
    class Throws extends Dropout {
      constructor({ p }: { p: number }) {
        if (p === 0.25) throw new TypeError('not today');
        super({ p: 0.25 });
      }
    }
    registerLayer('test.Throws', Throws);
    saveModel(path, new Throws({ p: 0 }));
    expect(errorOf(() => loadModel(path))).toMatchObject({
      code: 'ERR_FILE',
      message: `${path}, model: not today`,
      cause: expect.any(TypeError),
    });
  });

  test('any flipped bit, any part and any addition are seen', () => {
    save();
    const whole = readFileSync(path);
    const dataStart = 8 + Number(whole.readBigUInt64LE());
    const expected = stateOf(loadModel(path));
    for (let bit = 0; bit < 8 * whole.length; bit += bit < 8 * dataStart ? 11 : 41) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      writeFileSync(path, flipped);
      try {
        // A space of the header may become another one.
        expect(stateOf(loadModel(path))).toEqual(expected);
        expect(whole[bit >> 3]).toBe(0x20);
      } catch (error) {
        expect(error).toMatchObject({ name: 'EvenkeelError', code: 'ERR_FILE' });
      }
    }
    for (const damaged of [whole.subarray(0, -1), Buffer.concat([whole, whole])]) {
      writeFileSync(path, damaged);
      expect(errorOf(() => loadModel(path)).code).toBe('ERR_FILE');
    }
  });

  test('any description is refused with ERR_FILE, or makes a model', () => {
    const words = fc.constantFrom(
      'GRU',
      'Linear',
      'Sequential',
      'LastStep',
      'test.Scale',
      'test.Residual',
      'float64',
      'orthogonal',
      '',
      '__proto__',
    );
    const keys = fc.constantFrom(
      '$layer',
      'options',
      '$number',
      'layers',
      'inner',
      'hiddenSize',
      'inputSize',
      'outputSize',
      'numLayers',
      'size',
      'factor',
      'dtype',
      'a',
      '__proto__',
    );
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.oneof(words, fc.constantFrom(0, 1, 2, 3, 1e9, -1, 0.5), fc.constant(null), fc.boolean()),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
        fc.record({ $layer: words, options: fc.dictionary(keys, tie('value'), { maxKeys: 4 }) }),
      ),
    }));
    let made = 0;
    fc.assert(
      fc.property(value, (description) => {
        try {
          buildLayer('model', description, { limit: { bytes: 1000 } });
          made++;
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect([error.code, error.message.startsWith('model')]).toEqual(['ERR_FILE', true]);
        }
      }),
      { numRuns: 3000 },
    );
    expect(made).toBeGreaterThan(0);
  });
});
