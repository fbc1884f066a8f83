/** A tensor whose values lie in one piece, row-major and little-endian, in a byte source. */
import type { ByteSource } from './byte-source.ts';
import { floatsOf } from './half.ts';
import { DTYPE_BYTES, type DType, type StoredTensor } from './tensor.ts';
import { elementsOf } from './tensor-to-write.ts';

/** @throws RangeError when elements are asked for that the shape does not have: a mistake of the caller, not of the file */
export function checkElements(name: string, elements: number, first: number, count: number): void {
  const sane = Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 0;
  if (!sane || first + count > elements) {
    throw new RangeError(`tensor "${name}" has ${elements} elements; asked for ${count} from ${first} on`);
  }
}

/** `at` is where its first byte lies in the source; the caller has checked that all of it does. */
export function storedTensor(
  source: ByteSource,
  { name, dtype, shape, at }: { name: string; dtype: DType; shape: readonly number[]; at: number },
): StoredTensor {
  const elements = elementsOf(shape);
  const size = DTYPE_BYTES[dtype];
  const readBytes = async (first: number, count: number): Promise<Uint8Array> => {
    checkElements(name, elements, first, count);
    return source.read(at + first * size, count * size);
  };
  return {
    name,
    dtype,
    shape,
    elements,
    readBytes,
    read: async (first = 0, count = elements - first) => floatsOf(await readBytes(first, count), dtype),
  };
}
