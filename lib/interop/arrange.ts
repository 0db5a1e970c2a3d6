/** The same numbers in another order: frameworks differ in the order of an array's gates and axes. */
import { allocate, Tensor } from '../tensor';

/**
 * The blocks of rows of a tensor [B·H, ...] in another order.
 * @param order which block comes first, second and so on, as many as there are blocks
 */
export function reorderBlocks(tensor: Tensor, order: readonly number[]): Tensor {
  const data = allocate(tensor.dtype, tensor.size);
  const block = tensor.size / order.length;
  order.forEach((from, to) => {
    data.set(tensor.data.subarray(from * block, (from + 1) * block), to * block);
  });
  return new Tensor(data, tensor.shape);
}

/** Part `index` of `count` equal parts along the first axis of [count·A, ...]: [A, ...]. */
export function partOf(tensor: Tensor, index: number, count: number): Tensor {
  const [length = 0, ...rest] = tensor.shape;
  const size = tensor.size / count;
  return new Tensor(tensor.data.slice(index * size, (index + 1) * size), [length / count, ...rest]);
}

/** [A, B] as [B, A]. */
export function transposed({ data, dtype, shape }: Tensor): Tensor {
  const [rows = 0, columns = 0] = shape;
  const result = allocate(dtype, data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = data[i * columns + j] as number;
  return new Tensor(result, [columns, rows]);
}

/** The tensors [A, ...] of the same further sizes one after another along the first axis. */
export function concatenated(tensors: readonly Tensor[]): Tensor {
  const [{ dtype, shape: first }] = tensors as readonly [Tensor];
  const data = allocate(
    dtype,
    tensors.reduce((sum, { size }) => sum + size, 0),
  );
  let at = 0;
  for (const tensor of tensors) {
    data.set(tensor.data, at);
    at += tensor.size;
  }
  return new Tensor(data, [tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0), ...first.slice(1)]);
}
