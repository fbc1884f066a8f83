/** Norms of an adapter's changes, in f64, without forming the products: they have out · in entries, the factors r times fewer. */

/**
 * Frobenius norm of scale · B A, with a [rank, in] and b [out, rank] row-major:
 * ‖B A‖² = tr(Aᵀ Bᵀ B A) = Σ (Bᵀ B) ∘ (A Aᵀ), two rank x rank matrices. Cost: rank² (in + out) / 2 multiplications each.
 */
export function deltaNorm(
  weights: { a: Float32Array; b: Float32Array },
  { rank, scale }: { rank: number; scale: number },
): number {
  const rows = rowProducts(weights.a, rank);
  const columns = rowProducts(transposed(weights.b, rank), rank);
  let sum = 0;
  for (let p = 0; p < rank; p++) {
    sum += rows[p * rank + p]! * columns[p * rank + p]!;
    for (let q = 0; q < p; q++) sum += 2 * rows[p * rank + q]! * columns[p * rank + q]!;
  }
  // Rounding can leave a zero a little below.
  return Math.abs(scale) * Math.sqrt(Math.max(0, sum));
}

/** Inner products of the rows of a [rows, n] matrix; only those at or below the diagonal are filled in. */
function rowProducts(matrix: Float32Array, rows: number): Float64Array {
  const width = matrix.length / rows;
  const products = new Float64Array(rows * rows);
  for (let p = 0; p < rows; p++) {
    for (let q = 0; q <= p; q++) {
      let sum = 0;
      for (let i = p * width, j = q * width; i < (p + 1) * width; i++, j++) sum += matrix[i]! * matrix[j]!;
      products[p * rows + q] = sum;
    }
  }
  return products;
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
