/**
 * What every reader of tensor files gives: named tensors whose values are read when asked for, so that a file is never held
 * in memory whole. Pure: no device, no HTTP.
 */

export const DTYPES = ['f32', 'f16', 'bf16'] as const;
export type DType = (typeof DTYPES)[number];
export const DTYPE_BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, bf16: 2 };

export interface StoredTensor {
  /** As the file names it. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Product of the shape. */
  readonly elements: number;
  /** Little-endian bytes of elements first .. first + count - 1 of the row-major order. @throws FileError when cut short */
  readBytes(first: number, count: number): Promise<Uint8Array>;
  /** The same as numbers; by default all of them. @throws FileError when cut short */
  read(first?: number, count?: number): Promise<Float32Array>;
}

/** A tensor of a type that weights do not have (integers, f64, fp8), or something that is none: it can be listed only. */
export interface OtherTensor {
  readonly name: string;
  /** The type as its file names it: "I64", "LongStorage"; "NoneType", "int", "str" for what is no tensor. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface TensorFile {
  readonly path: string;
  /** Bytes on disk. */
  readonly bytes: number;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What else it holds by name, which nothing here can read: refuse it, or leave it out knowingly. */
  readonly others: ReadonlyMap<string, OtherTensor>;
  /** What the file says beside its tensors, such as safetensors' __metadata__. */
  readonly metadata: Readonly<Record<string, string>>;
  close(): Promise<void>;
}
