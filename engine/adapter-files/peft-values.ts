/** Reads an adapter's tensors as f32 and refuses what is not finite: one NaN would spoil every request of a batch. */
import { FileError } from '../tensor-files/file-error.ts';
import { quoted } from '../tensor-files/problems.ts';
import type { StoredTensor } from '../tensor-files/tensor.ts';

/** All values of a tensor, row-major. @throws FileError naming the tensor and the place of a NaN or infinity */
export async function readFinite(path: string, tensor: StoredTensor): Promise<Float32Array> {
  const values = await tensor.read();
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // Infinity - Infinity and NaN - NaN are NaN; this is half the cost of Number.isFinite.
    if (value - value !== 0) {
      const place = placeOf(i, tensor.shape);
      throw new FileError(path, `tensor ${quoted(tensor.name)}: expected finite values, found ${value} at [${place}]`);
    }
  }
  return values;
}

function placeOf(index: number, shape: readonly number[]): string {
  const place: number[] = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return place.join(', ');
}

/** A matrix [rows, columns] cut to its first columns: [rows, kept]. */
export function firstColumns(matrix: Float32Array, rows: number, columns: number, kept: number): Float32Array {
  if (kept === columns) return matrix.slice();
  const cut = new Float32Array(rows * kept);
  for (let row = 0; row < rows; row++) cut.set(matrix.subarray(row * columns, row * columns + kept), row * kept);
  return cut;
}

/** Multiplies each row of a matrix by its factor, in place. */
export function scaleRows(matrix: Float32Array, factors: Float32Array): Float32Array {
  const columns = matrix.length / factors.length;
  for (let row = 0; row < factors.length; row++) {
    const factor = factors[row]!;
    for (let i = row * columns; i < (row + 1) * columns; i++) matrix[i]! *= factor;
  }
  return matrix;
}

/** Runs once what reads a tensor that many modules share; `forget` frees it. */
export function shared<T>(read: () => Promise<T>): { get(): Promise<T>; forget(): void } {
  let value: Promise<T> | undefined;
  return {
    get: () => (value ??= read()),
    forget: () => {
      value = undefined;
    },
  };
}
