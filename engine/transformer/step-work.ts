/**
 * What a step has the device do, counted from its shapes: the same step counts the same on every machine, however fast it is.
 *
 * In: the step, and the products its stages record. Out: StepWork; worker/loop.ts adds it up (EXTENSIONS.md, "Exact counters").
 */
import type { Geometry } from '../models/geometry.ts';
import type { Step } from '../scheduler/scheduler.ts';

/** One product of activations with a weight matrix, as a stage records it with its dispatch. */
export interface Product {
  /** Rows that are wanted. */
  rows: number;
  /** Rows that are computed at a time. The matrix is read once for each such tile. */
  tile: number;
  /** Of the matrix, padding included. */
  bytes: number;
}

/** What recording a step's dispatches tells. */
export interface Encoded {
  dispatches: number;
  /** Rows computed beyond those wanted, as tiles are whole; summed over the step's products. */
  paddedRows: number;
  /** Bytes of weight matrices that the products read. */
  weightBytes: number;
}

export interface StepWork extends Encoded {
  /** Bytes of keys and values: of each sequence in the step those of all its positions, once. */
  kvBytes: number;
  /** Adapters in the step, and the bytes of their matrices, each adapter once. */
  adapters: number;
  adapterBytes: number;
  /** Bytes written to the device for the step. */
  uploadBytes: number;
}

export class EncodedSum implements Encoded {
  dispatches = 0;
  paddedRows = 0;
  weightBytes = 0;

  add(product: Product | undefined): void {
    this.dispatches++;
    if (!product) return;
    const { rows, tile, bytes } = product;
    const tiles = Math.ceil(rows / tile);
    this.paddedRows += tiles * tile - rows;
    this.weightBytes += tiles * bytes;
  }
}

/** Bytes that one position's keys and values take, f16 in every layer. */
export const kvTokenBytes = (g: Geometry): number => 2 * g.layers * g.kvHeads * g.headDim * 2;

/** @param bytesOf what an adapter of that rank takes on the device */
export function sharedReads(
  { parts }: Step,
  tokenBytes: number,
  bytesOf: (rank: number, hasColumns: boolean) => number,
): Pick<StepWork, 'kvBytes' | 'adapters' | 'adapterBytes'> {
  let kvBytes = 0;
  const places = new Set(parts.flatMap(({ sequence }) => sequence.adapter?.place ?? []));
  for (const { first, count } of parts) kvBytes += (first + count) * tokenBytes;
  let adapterBytes = 0;
  for (const { rank, hasColumns } of places) adapterBytes += bytesOf(rank, hasColumns);
  return { kvBytes, adapters: places.size, adapterBytes };
}
