import { type Layer, LayerNorm, Linear, RMSNorm, type Tensor } from '../../lib/index';
import { fanInScale, fill } from '../helpers/fill';
import { CASES, Goldens, numbered, PRECISIONS } from '../helpers/fixtures';

const goldens = new Goldens('layers');

describe.each(PRECISIONS)('in $dtype', ({ dtype, within }) => {
  function check(prefix: string, layer: Layer, state: Record<string, Tensor>, shape: number[], zero = false): void {
    layer.loadStateDict(state);
    const output = layer.forward(fill(`${prefix}/x`, shape, { dtype }));
    const gradInput = layer.backward(fill(`${prefix}/dy`, output.shape, { dtype }));
    goldens.expect(`${prefix}/output`, output, { within });
    goldens.expect(`${prefix}/dx`, gradInput, { within, zero });
    expect(layer.parameters().map(({ name }) => name)).toEqual(Object.keys(state));
    for (const { name, grad } of layer.parameters()) goldens.expect(`${prefix}/${name}`, grad, { within, zero: zero && name === 'weight' });
  }

  test.each(numbered(CASES.layerNorm))('LayerNorm %s agrees with PyTorch', (_, index, { shape, eps, affine }) => {
    const prefix = `layerNorm/${index}`;
    const size = shape.at(-1) ?? 0;
    const weight = fill(`${prefix}/weight`, [size], { offset: 1, scale: 0.5, dtype });
    const state: Record<string, Tensor> = affine === false ? {} : { weight, bias: fill(`${prefix}/bias`, [size], { dtype }) };
    check(prefix, new LayerNorm({ size, eps, affine, dtype }), state, shape, size === 1);
  });

  test.each(numbered(CASES.rmsNorm))('RMSNorm %s agrees with PyTorch', (_, index, { shape, eps }) => {
    const prefix = `rmsNorm/${index}`;
    const size = shape.at(-1) ?? 0;
    const weight = fill(`${prefix}/weight`, [size], { offset: 1, scale: 0.5, dtype });
    check(prefix, new RMSNorm({ size, eps: eps ?? 1e-5, dtype }), { weight }, shape); // what the goldens were made with
  });

  test.each(numbered(CASES.linear))('Linear %s agrees with PyTorch', (_, index, { shape, outputSize, bias }) => {
    const prefix = `linear/${index}`;
    const inputSize = shape.at(-1) ?? 0;
    const weight = fill(`${prefix}/weight`, [outputSize, inputSize], { scale: fanInScale(inputSize), dtype });
    const state: Record<string, Tensor> = bias === false ? { weight } : { weight, bias: fill(`${prefix}/bias`, [outputSize], { dtype }) };
    check(prefix, new Linear({ inputSize, outputSize, bias, dtype }), state, shape);
  });
});
