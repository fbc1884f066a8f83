/**
 * A checkpoint's weights -> the device. Each matrix goes through host memory a slice of rows at a time: read, converted to f16,
 * tiled and where asked for quantised (tile.ts), handed to the queue. While one slice is converted the next is read and the one before it is on its way, so
 * that disk, host and device work at once, and what is held follows from the slice, not from the model.
 */

import { padColumns } from '../kernels/matmul.ts';
import { type WeightLayout, wordsOf } from '../kernels/weight-format.ts';
import type { Geometry } from '../models/geometry.ts';
import type { ModuleName } from '../models/projections.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { floatsOf, halvesOf } from '../tensor-files/half.ts';
import { quoted } from '../tensor-files/problems.ts';
import { DTYPE_BYTES, type StoredTensor } from '../tensor-files/tensor.ts';
import type { Checkpoint } from './checkpoint.ts';
import { GROUPS, type Group, groupShapes } from './dimensions.ts';
import { Progress } from './progress.ts';
import { TILE_COLUMNS, tileRows } from './tile.ts';
import type { Weights } from './weights.ts';

/** Host memory that slices may take, all that are under way together. */
const HOST_BYTES = 64 * 2 ** 20;
/** Of one element at most: as f32 in the slice being read and in the one being converted, as f16, tiled, and in the queue. */
const HOST_BYTES_AN_ELEMENT = 4 + 4 + 2 + 2 + 2;

/** Which module each slice of a group is, in the order of dimensions.ts. */
const SLICE_MODULES: Readonly<Record<Group, readonly ModuleName[]>> = {
  qkv: ['q', 'k', 'v'],
  o: ['o'],
  gateUp: ['gate', 'up'],
  down: ['down'],
};

/** One matrix on the device and the tensors that its columns (rows, in files) come from; columns of none are zero. */
interface Matrix {
  into: GPUBuffer;
  layout: WeightLayout;
  /** Width of a row; even. */
  k: number;
  /** Columns, padded to whole tiles. */
  n: number;
  parts: { tensor: StoredTensor; at: number; columns: number }[];
}

/** Rows first .. first + count - 1 of one tensor, which go to rows `at` .. of the slice. */
interface Piece {
  tensor: StoredTensor;
  first: number;
  count: number;
  at: number;
}

interface Slice {
  matrix: Matrix;
  /** Columns of the matrix. */
  first: number;
  count: number;
  pieces: Piece[];
}

export interface UploadOptions {
  report?: (line: string) => void;
  /** Bound of the host memory taken; at least 32 rows are taken at a time. */
  hostBytes?: number;
}

/**
 * Resolves when all of it is on the device.
 * @throws FileError when a file is cut short, or a value is one that f16 cannot hold: beyond 65,504, infinite or NaN
 */
export async function uploadCheckpoint(
  device: GPUDevice,
  weights: Weights,
  checkpoint: Checkpoint,
  g: Geometry,
  { report = () => {}, hostBytes = HOST_BYTES }: UploadOptions = {},
): Promise<void> {
  const matrices = matricesOf(weights, checkpoint, g);
  const slices = matrices.flatMap((matrix) => slicesOf(matrix, hostBytes / HOST_BYTES_AN_ELEMENT));
  const total = matrices.flatMap(({ parts }) => parts).reduce((sum, { tensor }) => sum + sizeOf(tensor), 0);
  const progress = new Progress(`reading ${checkpoint.path}`, total, 'bytes', report);
  await uploadNorms(device, weights, checkpoint);

  const elements = slices.reduce((most, { matrix, count }) => Math.max(most, matrix.k * count), 0);
  const halves = new Uint16Array(elements);
  const rows = new Uint32Array(halves.buffer);
  const words = new Uint32Array(elements / 2);
  let reading = read(slices[0]);
  let staged: Promise<undefined> = device.queue.onSubmittedWorkDone();
  for (const [i, slice] of slices.entries()) {
    const { matrix, first, count, pieces } = slice;
    const bytes = await reading;
    reading = read(slices[i + 1]);
    if (pieces.reduce((sum, piece) => sum + piece.count, 0) < count) halves.fill(0, 0, count * matrix.k);
    pieces.forEach((piece, p) => {
      const source = bytes[p] as Uint8Array;
      const bad = halvesOf(source, piece.tensor.dtype, halves, piece.at * matrix.k);
      if (bad >= 0) throw notHalf(checkpoint.path, piece, source, bad, matrix.k);
      progress.add(source.byteLength);
    });
    tileRows(rows, count, matrix.k, matrix.layout, words);
    await staged; // of the slice before, so that what the queue holds is bounded
    const size = (columns: number) => wordsOf(matrix.layout, columns, matrix.k);
    device.queue.writeBuffer(matrix.into, 4 * size(first), words, 0, size(count));
    staged = device.queue.onSubmittedWorkDone();
  }
  await staged;
  progress.end();
}

function matricesOf(weights: Weights, checkpoint: Checkpoint, g: Geometry): Matrix[] {
  const { layouts } = weights;
  const shapes = groupShapes(g);
  const table = (into: GPUBuffer, layout: WeightLayout, tensor: StoredTensor): Matrix => ({
    into,
    layout,
    k: g.hidden,
    n: padColumns(g.vocab),
    parts: [{ tensor, at: 0, columns: g.vocab }],
  });
  return [
    table(weights.embedding, layouts.embedding, checkpoint.embedding),
    ...checkpoint.layers.flatMap(({ projections }, layer) =>
      GROUPS.map((group) => ({
        into: (weights.layers[layer] as Record<Group, GPUBuffer>)[group],
        layout: layouts.projections,
        k: shapes[group].k,
        n: shapes[group].n,
        parts: shapes[group].slices.map(({ at, columns }, i) => ({
          tensor: projections[SLICE_MODULES[group][i] as ModuleName],
          at,
          columns,
        })),
      })),
    ),
    ...(checkpoint.head ? [table(weights.head, layouts.head, checkpoint.head)] : []),
  ];
}

/** Whole tiles of columns each, of about so many elements at most. */
function slicesOf(matrix: Matrix, elements: number): Slice[] {
  const { k, n, parts } = matrix;
  const columns = TILE_COLUMNS * Math.max(1, Math.floor(elements / k / TILE_COLUMNS));
  return Array.from({ length: Math.ceil(n / columns) }, (_, i) => {
    const first = i * columns;
    const end = Math.min(n, first + columns);
    const pieces = parts.flatMap(({ tensor, at, columns: own }) => {
      const from = Math.max(first, at);
      const to = Math.min(end, at + own);
      return from < to ? [{ tensor, first: from - at, count: to - from, at: from - first }] : [];
    });
    return { matrix, first, count: end - first, pieces };
  });
}

function read(slice: Slice | undefined): Promise<Uint8Array[]> {
  if (!slice) return Promise.resolve([]);
  const { k } = slice.matrix;
  const bytes = Promise.all(slice.pieces.map(({ tensor, first, count }) => tensor.readBytes(first * k, count * k)));
  bytes.catch(() => {}); // thrown when its turn comes
  return bytes;
}

async function uploadNorms(device: GPUDevice, weights: Weights, checkpoint: Checkpoint): Promise<void> {
  const { layers, finalNorm } = checkpoint;
  const norms: [GPUBuffer, StoredTensor][] = [
    ...layers.map(({ inputNorm }, i): [GPUBuffer, StoredTensor] => [weights.inputNorms[i] as GPUBuffer, inputNorm]),
    ...layers.map(({ postAttentionNorm }, i): [GPUBuffer, StoredTensor] => [
      weights.postAttentionNorms[i] as GPUBuffer,
      postAttentionNorm,
    ]),
    [weights.finalNorm, finalNorm],
  ];
  for (const [into, tensor] of norms) {
    const values = await tensor.read();
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new FileError(
        checkpoint.path,
        `tensor ${quoted(tensor.name)} at [${bad}]: expected a finite number, found ${values[bad]}`,
      );
    }
    device.queue.writeBuffer(into, 0, values as Float32Array<ArrayBuffer>);
  }
}

function notHalf(path: string, { tensor, first }: Piece, source: Uint8Array, bad: number, k: number): FileError {
  const size = DTYPE_BYTES[tensor.dtype];
  const [value] = floatsOf(source.subarray(bad * size, (bad + 1) * size), tensor.dtype);
  const at = `[${first + Math.floor(bad / k)}, ${bad % k}]`;
  return new FileError(
    path,
    `tensor ${quoted(tensor.name)} at ${at}: expected a number that f16 holds, up to 65504 in size; found ${value}`,
  );
}

const sizeOf = ({ elements, dtype }: StoredTensor): number => elements * DTYPE_BYTES[dtype];
