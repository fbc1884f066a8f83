/**
 * What the writers take: a tensor's name, type and shape, and its values or a way to get them, so that a large file is
 * written with one tensor in memory at a time.
 */
import { bytesOfFloats } from './half.ts';
import { DTYPE_BYTES, type DType } from './tensor.ts';

/** Little-endian bytes of `dtype`, or numbers, which are rounded to it. */
export type TensorValues = Uint8Array | Float32Array;

export interface TensorToWrite {
  name: string;
  dtype: DType;
  shape: readonly number[];
  /** A function is called once, when the tensor's turn comes. */
  data: TensorValues | (() => TensorValues | Promise<TensorValues>);
}

/** Product of the sizes; 0 where one is 0, however large the others. */
export const elementsOf = (shape: readonly number[]): number =>
  shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);

export const bytesOf = (tensor: TensorToWrite): number => elementsOf(tensor.shape) * DTYPE_BYTES[tensor.dtype];

/** The bytes to write. @throws RangeError when they are not as many as the shape and type say */
export async function bytesToWrite(tensor: TensorToWrite): Promise<Uint8Array> {
  const values = typeof tensor.data === 'function' ? await tensor.data() : tensor.data;
  const bytes = values instanceof Float32Array ? bytesOfFloats(values, tensor.dtype) : values;
  const expected = bytesOf(tensor);
  if (bytes.length !== expected) {
    const what = `tensor "${tensor.name}" of shape [${tensor.shape.join(', ')}] in ${tensor.dtype}`;
    throw new RangeError(`${what}: expected ${expected} bytes, found ${bytes.length}`);
  }
  return bytes;
}

/** @throws RangeError when two tensors have one name or a shape is none */
export function checkTensorsToWrite(tensors: readonly TensorToWrite[]): void {
  const seen = new Set<string>();
  for (const { name, shape } of tensors) {
    if (seen.has(name)) throw new RangeError(`two tensors are named "${name}"`);
    seen.add(name);
    const sane = shape.every((size) => Number.isSafeInteger(size) && size >= 0) && elementsOf(shape) < 2 ** 50;
    if (!sane) throw new RangeError(`tensor "${name}": [${shape.join(', ')}] is no shape`);
  }
}
