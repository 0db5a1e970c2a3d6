// Files of PyTorch's exporters, against what PyTorch computes; and what is refused.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { EvenkeelError, fromOnnx, GRU, type Layer, LSTM, RNN, type Sequential, Tensor } from '../../lib/index';
import { ELEMENT, type ModelProto, type NodeProto } from '../../lib/interop/onnx/messages';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { folder } from '../io/safetensors-files';
import { OnnxFixture, writeChanged } from './onnx-files';

interface Case {
  name: string;
  type?: 'RNN' | 'GRU' | 'LSTM';
  layers?: number;
  bidirectional?: boolean;
  lengths?: true;
}

const LENGTHS = [5, 2, 4];
const fixture = new OnnxFixture<Case>('torch-onnx');
const path = join(folder, 'model.onnx');

function load(name: string): Layer {
  writeFileSync(path, fixture.bytes(name));
  return fromOnnx(path);
}

const recurrent = fixture.cases.filter(({ type }) => type !== undefined);

describe("PyTorch's exporters", () => {
  test.each(recurrent.map((content): [string, Case] => [content.name, content]))('%s', (name, { type, layers, bidirectional, lengths }) => {
    const model = load(name) as RNN;
    expect(model).toBeInstanceOf({ RNN, GRU, LSTM }[type as 'RNN']);
    expect([model.numLayers, model.bidirectional]).toEqual([layers, bidirectional]);
    const output = model.forward(fixture.get(`${name}/x`), lengths ? { lengths: LENGTHS } : {});
    expectClose(output, fixture.get(`${name}/output`), { within: 1e-5 });
  });

  test('there are files of every cell, number of layers, direction, with lengths and without, of both exporters', () => {
    const count = (word: string) => recurrent.filter(({ name }) => name.endsWith(word)).length;
    // The newer exporter unrolls nn.RNN.
    expect([count('/torchscript'), count('/dynamo'), count('/packed')]).toEqual([4 * 8, 2 * 8, 4 * 2 * 2]);
  });

  test.each(['torchscript', 'dynamo'])('%s: symbols, norms, activations, the names of modules', (exporter) => {
    const name = `classifier/${exporter}`;
    const model = load(name) as Sequential;
    expectClose(model.forward(fixture.get(`${name}/x`)), fixture.get(`${name}/output`), { within: 1e-5 });
    const names = [...new Set(Object.keys(model.stateDict()).map((key) => key.slice(0, key.lastIndexOf('.'))))];
    const rms = exporter === 'dynamo' ? ['rms'] : [];
    expect(names).toHaveLength(5 + rms.length);
  });

  test.each(['torchscript', 'dynamo'])('%s: ends of both directions, of time-first sequences of fixed sizes', (exporter) => {
    const name = `ends/${exporter}`;
    expectClose(load(name).forward(fixture.get(`${name}/x`)), fixture.get(`${name}/output`), { within: 1e-5 });
  });

  test.each(['torchscript', 'dynamo'])('%s: states that go in and come out', (exporter) => {
    const name = `stateful/${exporter}`;
    const model = load(name) as LSTM;
    const initialState = { h: fixture.get(`${name}/h0`), c: fixture.get(`${name}/c0`) };
    expectClose(model.forward(fixture.get(`${name}/x`), { initialState }), fixture.get(`${name}/output`), { within: 1e-5 });
    expectClose(model.finalState.h, fixture.get(`${name}/h`), { within: 1e-5 });
    expectClose(model.finalState.c, fixture.get(`${name}/c`), { within: 1e-5 });
  });

  test('external data beside the file, and nowhere else', () => {
    const name = 'external/dynamo';
    writeFileSync(join(folder, 'model.onnx.data'), fixture.bytes(name, 'external'));
    expectClose(load(name).forward(fixture.get(`${name}/x`)), fixture.get(`${name}/output`), { within: 1e-5 });
    const move = (change: (entry: { key?: string; value?: string }) => void) =>
      writeChanged(path, fixture.bytes(name), ({ graph }) => {
        for (const { external_data: entries = [] } of graph?.initializer ?? []) for (const entry of entries) change(entry);
      });
    for (const location of ['/etc/passwd', '../model.onnx.data', 'a/b', '..', '', 'a\\b']) {
      move((entry) => {
        if (entry.key === 'location') entry.value = location;
      });
      expectRefused(() => fromOnnx(path), 'ERR_FILE', 'expected external data in a file of the same folder');
    }
    move((entry) => {
      if (entry.key === 'offset') entry.value = '999999';
    });
    expectRefused(() => fromOnnx(path), 'ERR_FILE', 'bytes of external data within the');
    move((entry) => {
      if (entry.key === 'location') entry.value = 'missing.data';
    });
    expectRefused(() => fromOnnx(path), 'ERR_FILE', 'missing.data: could not read the file');
  });

  test('fixed sizes of many sequences are followed too', () => {
    writeChanged(path, fixture.bytes('gru-1-one/torchscript'), ({ graph }) => {
      graph?.input?.[0]?.type?.tensor_type?.shape?.dim?.splice(0, 2, { dim_value: 20_000 }, { dim_value: 5 });
    });
    expect(fromOnnx(path)).toBeInstanceOf(GRU);
  });

  test('into another dtype', () => {
    writeFileSync(path, fixture.bytes('gru-2-both/dynamo'));
    const model = fromOnnx(path, { dtype: 'float64' });
    const x = fixture.get('gru-2-both/dynamo/x');
    const output = model.forward(new Tensor(Float64Array.from(x.data), x.shape));
    expectClose(output.data, fixture.get('gru-2-both/dynamo/output').data, { within: 1e-5 });
  });

  test.each([
    ['unrolled/dynamo', 'A loop over time that was unrolled is no recurrent layer any more'],
    ['projected/dynamo', 'for the initial state, got a constant [1, 2, 4]'],
  ])('%s is refused by name', (name, message) => {
    writeFileSync(path, fixture.bytes(name));
    expectRefused(() => fromOnnx(path), 'ERR_FILE', message);
  });
});

describe('another function is refused by name', () => {
  const node = (model: ModelProto, type: string): NodeProto => model.graph?.node?.find(({ op_type }) => op_type === type) as NodeProto;
  const attribute = (name: string, value: object) => (owner: NodeProto) => {
    owner.attribute = [...(owner.attribute ?? []).filter((own) => own.name !== name), { name, ...value }];
  };
  const changed = (type: string, change: (owner: NodeProto) => void) => (model: ModelProto) => change(node(model, type));
  const texts = (...words: string[]) => ({ type: 8, strings: words.map((word) => Buffer.from(word)) });
  test.each<[string, string, (model: ModelProto) => void, string]>([
    ['clip', 'lstm-1-one', changed('LSTM', attribute('clip', { type: 1, f: 3 })), '("LSTM"): expected no clip'],
    ['input_forget', 'lstm-1-one', changed('LSTM', attribute('input_forget', { type: 2, i: 1 })), 'expected input_forget 0, got 1'],
    [
      'hard_sigmoid',
      'lstm-1-one',
      changed('LSTM', attribute('activations', texts('HardSigmoid', 'Tanh', 'Tanh'))),
      'expected the activations sigmoid, tanh, tanh in each direction, got hardsigmoid,tanh,tanh',
    ],
    [
      'another function in one direction',
      'relu-1-both',
      changed('RNN', attribute('activations', texts('Relu', 'Tanh'))),
      'activations tanh, or relu',
    ],
    ['direction reverse', 'gru-1-one', changed('GRU', attribute('direction', { type: 3, s: Buffer.from('reverse') })), '"reverse"'],
    [
      'an unknown attribute',
      'gru-1-one',
      changed('GRU', attribute('new', { type: 2, i: 1 })),
      'expected attributes that are known, got "new"',
    ],
    ['an attribute of another type', 'gru-1-one', changed('GRU', attribute('layout', { type: 1, f: 1 })), 'an attribute layout of type 2'],
    [
      'a hidden_size of none',
      'gru-1-one',
      changed('GRU', attribute('hidden_size', { type: 2, i: 9 })),
      'expected hidden_size 4, as R has it, got 9',
    ],
    ['peepholes', 'lstm-1-one', changed('LSTM', (owner) => owner.input?.push(owner.input[3] as string)), 'expected no peepholes P'],
    [
      'an operator that is no layer',
      'gru-1-one',
      changed('GRU', (owner) => {
        owner.op_type = 'Conv';
      }),
      '("Conv"): expected an operator that is understood',
    ],
    [
      'an operator of another domain',
      'gru-1-one',
      changed('GRU', (owner) => {
        owner.domain = 'com.microsoft';
      }),
      'got "com.microsoft.GRU"',
    ],
    [
      'a version that is not known',
      'gru-1-one',
      (model) => {
        model.opset_import = [{ domain: '', version: 6 }];
      },
      'expected operators of a version from 7 to 28, got 6',
    ],
    [
      'a tensor that no node reads',
      'gru-1-one',
      (model) => {
        model.graph?.initializer?.push({ name: 'extra', dims: [1], data_type: ELEMENT.float, float_data: [1] });
      },
      'expected tensors that some node reads, got "extra"',
    ],
    [
      'a learnt initial state',
      'gru-1-one',
      (model) => {
        const fill = node(model, 'ConstantOfShape').attribute?.[0]?.t;
        Object.assign(fill ?? {}, { raw_data: undefined, float_data: [1] });
      },
      'expected zeros, or an input of the graph, as the initial state',
    ],
    [
      'an output that is no state',
      'gru-2-one',
      (model) => {
        model.graph?.output?.push({ name: node(model, 'Squeeze').output?.[0] });
      },
      'expected final states as further outputs',
    ],
  ])('%s', (_, name, change, message) => {
    writeChanged(path, fixture.bytes(`${name}/torchscript`), change);
    expectRefused(() => fromOnnx(path), 'ERR_FILE', message);
  });

  test('an unchanged copy is taken', () => {
    writeChanged(path, fixture.bytes('lstm-1-one/torchscript'), () => {});
    expect(fromOnnx(path)).toBeInstanceOf(LSTM);
  });
});

describe("ONNX' own node tests", () => {
  const nodes = new OnnxFixture<{ name: string; op: string; inputs: string[]; outputs: string[] }>('onnx-nodes');

  /** Those that ask for what no layer here computes, and what is said of them. */
  const refused = (name: string): string | undefined => {
    if (name === 'test_lstm_with_peepholes') return 'no peepholes P';
    if (name.endsWith('_reverse')) return '"reverse"';
    const axis = /_(\d)d_axis(?:_negative_)?(\d)/.exec(name);
    if (axis === null) return undefined;
    const isLast = name.includes('_negative_') ? axis[2] === '1' : Number(axis[2]) === Number(axis[1]) - 1;
    return isLast ? undefined : 'the last axis';
  };

  test.each(nodes.cases.map((content): [string, (typeof nodes.cases)[number]] => [content.name, content]))(
    '%s',
    (name, { op, outputs }) => {
      writeFileSync(path, nodes.bytes(name));
      const reason = refused(name);
      if (reason !== undefined) {
        expectRefused(() => fromOnnx(path), 'ERR_FILE', reason);
        return;
      }
      const model = fromOnnx(path) as RNN;
      const given = nodes.get(`${name}/X`);
      const x = op.endsWith('Normalization') || name.endsWith('batchwise') ? given : swapped(given);
      const output = model.forward(x);
      const isBoth = name.includes('bidirectional');
      for (const key of outputs) {
        const expected = nodes.get(`${name}/${key}`);
        const actual = key === 'Y_h' && outputs.length > 1 ? finalOf(model, 'h') : key === 'Y_c' ? finalOf(model, 'c') : output;
        const isSame = op.endsWith('Normalization') || (key === 'Y' && name.endsWith('batchwise'));
        const ours = isSame ? actual.data : asTheirs(actual, key, isBoth);
        expectClose(ours, expected.data, { within: 1e-5, label: key });
      }
    },
  );

  test('all of them are here, and most are computed', () => {
    const names = nodes.cases.map(({ name }) => name);
    expect(names).toHaveLength(56);
    expect(names.filter((name) => refused(name) === undefined)).toHaveLength(28);
  });
});

/** [A, B, C] as [B, A, C]. */
function swapped({ shape, data }: Tensor): Tensor {
  const [a = 0, b = 0, c = 0] = shape;
  const out = Tensor.zeros([b, a, c]);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++) out.data.set(data.subarray((i * b + j) * c, (i * b + j + 1) * c), (j * a + i) * c);
  return out;
}

function finalOf(model: Layer, key: 'h' | 'c'): Tensor {
  const state = (model as LSTM).finalState as { h: Tensor; c: Tensor } | Tensor;
  return state instanceof Tensor ? state : state[key];
}

/** Y [T, D, N, H] of [N, T, D·H], and states as they are; ends [N, D·H] as [D, N, H]. */
function asTheirs(tensor: Tensor, key: string, isBoth: boolean): ArrayLike<number> {
  if (key === 'Y') {
    const steps = swapped(tensor);
    if (!isBoth) return steps.data;
    const [t = 0, n = 0, width = 0] = steps.shape;
    return new Float32Array(
      Array.from({ length: t }, (_, i) =>
        Array.from(swapped(new Tensor(steps.data.slice(i * n * width, (i + 1) * n * width), [n, 2, width / 2])).data),
      ).flat(),
    );
  }
  if (!isBoth || tensor.shape.length === 3) return tensor.data;
  const [n = 0, width = 0] = tensor.shape;
  return swapped(new Tensor(tensor.data, [n, 2, width / 2])).data;
}

describe('any damage to a file: a whole model or an error with a reason', () => {
  const names = ['lstm-2-both/torchscript', 'gru-2-one/packed', 'classifier/dynamo', 'stateful/dynamo'];

  test.each(names)('%s', (name) => {
    const file = fixture.bytes(name);
    const place = fc.nat(file.length - 1);
    const damage = fc.oneof(
      fc.tuple(place, fc.nat(7)).map(([at, bit]) => {
        const copy = Buffer.from(file);
        copy[at] = (copy[at] as number) ^ (1 << bit);
        return copy;
      }),
      place.map((at) => file.subarray(0, at)),
      fc
        .tuple(place, fc.uint8Array({ minLength: 1, maxLength: 20 }))
        .map(([at, extra]) => Buffer.concat([file.subarray(0, at), extra, file.subarray(at)])),
    );
    let refused = 0;
    fc.assert(
      fc.property(damage, (bytes) => {
        writeFileSync(path, bytes);
        try {
          const model = fromOnnx(path);
          expect(model.parameters().length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect(['ERR_FILE', 'ERR_DTYPE', 'ERR_MEMORY']).toContain(error.code);
          refused++;
        }
      }),
      { numRuns: 250 },
    );
    expect(refused).toBeGreaterThan(80);
  });

  test('bytes of nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        writeFileSync(path, bytes);
        expectRefused(() => fromOnnx(path), 'ERR_FILE');
      }),
      { numRuns: 300 },
    );
  });
});
