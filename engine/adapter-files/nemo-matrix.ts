/**
 * A matrix that tensor-parallel training left in pieces, one a rank, read as one; with one rank it is the tensor itself.
 */
import { quoted, shapeText } from '../tensor-files/problems.ts';
import type { StoredTensor } from '../tensor-files/tensor.ts';
import { readFinite } from './peft-values.ts';

export interface SplitMatrix {
  path: string;
  rows: number;
  columns: number;
  splitBy: 'rows' | 'columns';
  /** By rank. */
  pieces: readonly StoredTensor[];
}

/** What is wrong with the pieces' shapes, one sentence each. */
export function matrixProblems({ rows, columns, splitBy, pieces }: SplitMatrix): string[] {
  const ranks = pieces.length;
  const split = splitBy === 'rows' ? [rows / ranks, columns] : [rows, columns / ranks];
  return pieces.flatMap(({ name, shape }) => {
    if (shape.length === 2 && shape[0] === split[0] && shape[1] === split[1]) return [];
    const of = ranks > 1 ? `, a ${ranks}th of [${rows}, ${columns}]` : '';
    return `tensor ${quoted(name)}: expected shape ${shapeText(split)}${of}, found ${shapeText(shape)}`;
  });
}

/**
 * Reads rows of matrices, and keeps the matrix it read last: the modules of a fused part are read one after the other.
 * Pieces are read whole, so that their checksums are compared.
 */
export class MatrixReader {
  private last: { matrix: SplitMatrix; values: Float32Array } | null = null;

  /**
   * Rows [from, to), range after range, row-major: a fresh array.
   * @throws FileError when cut short or damaged, or when a value is not finite
   */
  async rows(matrix: SplitMatrix, ranges: readonly (readonly [number, number])[]): Promise<Float32Array> {
    if (this.last?.matrix !== matrix) this.last = { matrix, values: await readWhole(matrix) };
    const whole = this.last.values;
    const { columns } = matrix;
    const values = new Float32Array(ranges.reduce((sum, [from, to]) => sum + to - from, 0) * columns);
    let at = 0;
    for (const [from, to] of ranges) {
      values.set(whole.subarray(from * columns, to * columns), at);
      at += (to - from) * columns;
    }
    return values;
  }
}

async function readWhole(matrix: SplitMatrix): Promise<Float32Array> {
  const { rows, columns, splitBy, pieces } = matrix;
  const [only] = pieces;
  if (pieces.length === 1 && only) return readFinite(matrix.path, only);
  const values = new Float32Array(rows * columns);
  for (const [rank, piece] of pieces.entries()) {
    const part = await readFinite(matrix.path, piece);
    if (splitBy === 'rows') values.set(part, rank * part.length);
    else {
      const width = columns / pieces.length;
      for (let row = 0; row < rows; row++) {
        values.set(part.subarray(row * width, (row + 1) * width), row * columns + rank * width);
      }
    }
  }
  return values;
}
