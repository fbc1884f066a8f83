/**
 * A tensor whose elements lie in a storage by strides, such as a transposed one: reading gathers them into row-major order.
 * The span they lie in is read in one piece, so the cost is bounded by the storage, which is bounded by the file.
 */
import type { ByteSource } from './byte-source.ts';
import { floatsOf } from './half.ts';
import { checkElements } from './stored-tensor.ts';
import { DTYPE_BYTES, type DType, type StoredTensor } from './tensor.ts';
import { elementsOf } from './tensor-to-write.ts';

interface Layout {
  name: string;
  dtype: DType;
  /** All in elements. */
  shape: readonly number[];
  strides: readonly number[];
  offset: number;
}

/** Whether row-major order is the order in the storage; strides of axes of one element do not matter. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** Distance from the first to the last element in the storage; the tensor has at least one. */
export const reachOf = (shape: readonly number[], strides: readonly number[]): number =>
  shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0);

/** The caller has checked that all elements lie within the storage, and are at most as many as it has. */
export function stridedTensor(storage: ByteSource, { name, dtype, shape, strides, offset }: Layout): StoredTensor {
  const elements = elementsOf(shape);
  const size = DTYPE_BYTES[dtype];
  const readBytes = async (first: number, count: number): Promise<Uint8Array> => {
    checkElements(name, elements, first, count);
    if (count === 0) return new Uint8Array(0);
    const [low, high] = spanOf(shape, strides, first, count);
    const bytes = await storage.read((offset + low) * size, (high - low + 1) * size);
    return size === 4
      ? bytesOfWords(gather(new Uint32Array(bytes.buffer), new Uint32Array(count), { shape, strides, first, low }))
      : bytesOfWords(gather(new Uint16Array(bytes.buffer), new Uint16Array(count), { shape, strides, first, low }));
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

const bytesOfWords = (words: Uint16Array | Uint32Array): Uint8Array => new Uint8Array(words.buffer);

/** Lowest and highest place of elements first .. first + count - 1: exact along the first axis, whole along the others. */
function spanOf(shape: readonly number[], strides: readonly number[], first: number, count: number): [number, number] {
  const row = elementsOf(shape.slice(1));
  const from = Math.floor(first / row);
  const to = Math.floor((first + count - 1) / row);
  const stride = strides[0] ?? 0;
  return [from * stride, to * stride + reachOf(shape.slice(1), strides.slice(1))];
}

/** Walks the elements in row-major order, carrying an index an axis; `low` is the place that from[0] has. */
function gather<Words extends Uint16Array | Uint32Array>(
  from: Words,
  into: Words,
  { shape, strides, first, low }: { shape: readonly number[]; strides: readonly number[]; first: number; low: number },
): Words {
  const index = new Array<number>(shape.length).fill(0);
  let place = -low;
  for (let axis = shape.length - 1, rest = first; axis >= 0; axis--) {
    index[axis] = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
    place += index[axis]! * strides[axis]!;
  }
  for (let i = 0; i < into.length; i++) {
    into[i] = from[place]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      place -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return into;
}
