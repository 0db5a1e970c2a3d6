// Files that toOnnx writes, read again: fixtures/check_onnx.py and check_onnx.mjs run them in ONNX Runtime.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Dropout, EvenkeelError, fromOnnx, type Layer, Linear, LSTM, RNN, Sequential, saveState, Tensor, toOnnx } from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { folder } from '../io/safetensors-files';
import { exportedModels, inputOf } from './exported-models';
import { writeChanged } from './onnx-files';

const path = join(folder, 'exported.onnx');
const models = exportedModels();
const N = 3;
const T = 5;

describe('what is written comes back as the same model', () => {
  test.each(models.map((content): [string, (typeof models)[number]] => [content.name, content]))('%s', (name, { make, lengths }) => {
    const model = make();
    toOnnx(model, path, { lengths: lengths !== undefined });
    const back = fromOnnx(path);
    const x = inputOf(model, N, T);
    const options = lengths === undefined ? {} : { lengths };
    const [expected, actual] = [model.forward(x, { ...options, training: false }), back.forward(x, { ...options, training: false })];
    expectClose(actual, expected, { within: 1e-6 });
    keep(name, x, lengths, expected);
    const values = (layer: Layer) => layer.parameters().map(({ value }) => [value.shape, [...value.data]]);
    expect(values(back)).toEqual(values(model));
  });

  test('with the names of a Sequential', () => {
    const model = new Sequential({
      encoder: new Sequential({
        rnn: new LSTM({ inputSize: 3, hiddenSize: 4, numLayers: 2 }),
        low: new Linear({ inputSize: 4, outputSize: 2 }),
      }),
      head: new Linear({ inputSize: 2, outputSize: 1 }),
    });
    toOnnx(model, path);
    expect(Object.keys(fromOnnx(path).stateDict())).toEqual(Object.keys(model.stateDict()));
  });

  test('float64 as it is, and as float32 on request', () => {
    const model = new RNN({ inputSize: 3, hiddenSize: 4, dtype: 'float64', normalization: 'hidden' });
    toOnnx(model, path);
    const x = Tensor.randn([N, T, 3], { dtype: 'float64' });
    expectClose(fromOnnx(path).forward(x), model.forward(x), { within: 1e-15 });
    toOnnx(model, path, { dtype: 'float32' });
    expectClose(fromOnnx(path).forward(new Tensor(Float32Array.from(x.data), x.shape)).data, model.forward(x).data, { within: 1e-5 });
  });
});

/** With EVENKEEL_ONNX_OUT the files stay in that folder, with inputs and outputs, for the scripts of fixtures/ that run them in ONNX Runtime. */
function keep(name: string, input: Tensor, lengths: readonly number[] | undefined, output: Tensor): void {
  const out = process.env.EVENKEEL_ONNX_OUT;
  if (out === undefined) return;
  const file = join(out, name.replaceAll(/\W+/g, '-'));
  copyFileSync(path, `${file}.onnx`);
  saveState(`${file}.safetensors`, { input, output, ...(lengths === undefined ? {} : { lengths: Tensor.from([...lengths]) }) });
}

class Own extends Linear {}

test.each<[string, () => Layer, object, string]>([
  ['a class of one’s own', () => new Own({ inputSize: 1, outputSize: 1 }), {}, 'model: expected a layer of this package'],
  [
    'a stateful layer',
    () => new Sequential({ rnn: new RNN({ inputSize: 1, hiddenSize: 1, stateful: true }) }),
    {},
    'model.rnn: expected a layer that starts from zeros',
  ],
  ['lengths of what has no time', () => new Linear({ inputSize: 1, outputSize: 1 }), { lengths: true }, 'lengths: expected false'],
  ['a model that takes anything', () => new Dropout(), {}, 'model: expected a layer that says how many numbers it takes'],
])('%s is refused', (_, make, options, message) => {
  expectRefused(() => toOnnx(make(), path, options), 'ERR_OPTION', message);
});

describe('a Scan that is not as toOnnx wrote it is refused', () => {
  const written = (): Buffer => {
    toOnnx(new RNN({ inputSize: 3, hiddenSize: 4, normalization: 'preactivation' }), path);
    return readFileSync(path);
  };

  test.each<[string, (scan: { doc_string?: string; body: { node?: { op_type?: string }[] } }) => void, string]>([
    [
      'another body',
      ({ body }) => Object.assign(body.node?.find(({ op_type }) => op_type === 'Tanh') ?? {}, { op_type: 'Relu' }),
      'the body of the RNN',
    ],
    [
      'another note',
      (scan) => {
        scan.doc_string = scan.doc_string?.replace('preactivation', 'hidden');
      },
      'the body of the RNN',
    ],
    [
      'no note',
      (scan) => {
        scan.doc_string = '';
      },
      'a Scan with the note of toOnnx',
    ],
    [
      'sizes of a note alone',
      (scan) => {
        scan.doc_string = scan.doc_string?.replace('"hiddenSize":4', '"hiddenSize":400000');
      },
      'expected',
    ],
  ])('%s', (_, change, message) => {
    writeChanged(path, written(), ({ graph }) => {
      const scan = graph?.node?.find(({ op_type }) => op_type === 'Scan');
      const body = scan?.attribute?.find(({ name }) => name === 'body')?.g;
      const view = { doc_string: scan?.doc_string, body: body ?? {} };
      change(view);
      if (scan !== undefined) scan.doc_string = view.doc_string;
    });
    expectRefused(() => fromOnnx(path), 'ERR_FILE', message);
  });

  test('any damage: the same model, another one of its shape, or an error with a reason', () => {
    const file = written();
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(7), (at, bit) => {
        const copy = Buffer.from(file);
        copy[at] = (copy[at] as number) ^ (1 << bit);
        writeFileSync(path, copy);
        try {
          expect(fromOnnx(path)).toBeInstanceOf(RNN);
        } catch (error) {
          if (!(error instanceof EvenkeelError)) throw error;
          expect(['ERR_FILE', 'ERR_DTYPE', 'ERR_MEMORY']).toContain(error.code);
        }
      }),
      { numRuns: 150 },
    );
  });
});
