/**
 * An adapter in host memory, laid out as the pools want it (pools.ts), so that putting it on the device is copying.
 * Plain data with transferable buffers: made by the loader thread, kept by the device thread.
 */
import type { AdapterFormat, AdapterKind } from '../adapter-files/adapter.ts';

export interface PackedLayer {
  /** Per group [page][slice][8 ranks][k / 2], f16 pairs along the input; groups in the order of GROUPS. */
  a: Uint32Array<ArrayBuffer>;
  /** Per group [page][4 rank pairs][n], f16 pairs of ranks. */
  b: Uint32Array<ArrayBuffer>;
  /** One word a column of every group, f16(g - 1) low and f16(bias) high; null where g is 1 and bias 0 everywhere. */
  columns: Uint32Array<ArrayBuffer> | null;
  /** DoRA's m, f32, one a column of every group, NaN where a module has none; null once `columns` holds g. */
  magnitude: Float32Array<ArrayBuffer> | null;
}

export interface PackedAdapter {
  kind: AdapterKind;
  format: AdapterFormat | 'synthetic';
  /** Largest rank of its modules; those of lower rank are filled up with zeros. */
  rank: number;
  /** Of every module; where they differ, B holds the difference. */
  scale: number;
  layers: PackedLayer[];
  /** Of host memory. */
  bytes: number;
}

/** Whether its place has to have column words: it has DoRA's g or a bias somewhere. */
export const hasColumns = ({ layers }: PackedAdapter): boolean =>
  layers.some(({ columns, magnitude }) => columns !== null || magnitude !== null);
