/**
 * Norms of an adapter's changes, in f64. Neither the product B A, of out · in entries, nor anything of rank² entries is ever
 * held: a small file can declare a rank of which the square takes gigabytes.
 */

/** Frobenius norm of scale · B A, with a [rank, in] and b [out, rank] row-major. */
export function deltaNorm(
  { a, b }: { a: Float32Array; b: Float32Array },
  { rank, scale }: { rank: number; scale: number },
): number {
  const narrow = rank <= Math.min(a.length, b.length) / rank;
  return Math.abs(scale) * Math.sqrt(narrow ? squaresByPairs(a, transposed(b, rank), rank) : squaresByRows(a, b, rank));
}

/** ‖B A‖² = tr(Aᵀ Bᵀ B A) = Σ (Bᵀ B) ∘ (A Aᵀ), in rank² (in + out) / 2 multiplications; columns is Bᵀ, [rank, out]. */
function squaresByPairs(a: Float32Array, columns: Float32Array, rank: number): number {
  let sum = 0;
  for (let p = 0; p < rank; p++) {
    for (let q = 0; q <= p; q++) {
      sum +=
        (p === q ? 1 : 2) * rowProduct(a, a.length / rank, p, q) * rowProduct(columns, columns.length / rank, p, q);
    }
  }
  return Math.max(0, sum); // rounding can leave a zero a little below
}

/** The same from the rows of B A, one at a time: cheaper from a rank of min(in, out) on, out · in · rank multiplications. */
function squaresByRows(a: Float32Array, b: Float32Array, rank: number): number {
  const row = new Float64Array(a.length / rank);
  let sum = 0;
  for (let j = 0; j < b.length; j += rank) {
    row.fill(0);
    for (let p = 0, i = 0; p < rank; p++) {
      const factor = b[j + p]!;
      for (let column = 0; column < row.length; column++, i++) row[column]! += factor * a[i]!;
    }
    for (const value of row) sum += value * value;
  }
  return sum;
}

/** Inner product of rows p and q of a [.., width] matrix. */
function rowProduct(matrix: Float32Array, width: number, p: number, q: number): number {
  let sum = 0;
  for (let i = p * width, j = q * width, end = i + width; i < end; i++, j++) sum += matrix[i]! * matrix[j]!;
  return sum;
}

/** [n, columns] -> [columns, n] */
function transposed(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = matrix[row * columns + column]!;
  }
  return result;
}

/** The largest magnitude. */
export function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}
