/** What the device thread and the loader thread say to each other. Buffers of an image go by transfer. */
import type { AdapterFormat, AdapterKind } from '../adapter-files/adapter.ts';
import type { Geometry } from '../models/geometry.ts';
import type { PackedAdapter } from './packed-adapter.ts';

export interface LoaderStart {
  geometry: Geometry;
}

/** What checking a file's headers against the model tells. */
export interface CheckedFile {
  kind: AdapterKind;
  format: AdapterFormat;
  rank: number;
  /** Some module has DoRA's magnitude or a bias. */
  hasColumns: boolean;
  /** Names, sizes and times of its files: another one means another adapter. */
  fingerprint: string;
}

export type ToLoader =
  | { kind: 'check'; task: number; path: string }
  /** Reads and packs a file that was checked before; refuses it when it has changed since. */
  | { kind: 'read'; task: number; path: string; fingerprint: string };

export type FromLoader =
  | { kind: 'checked'; task: number; file: CheckedFile }
  /** `nanoseconds`: from opening the file to the packed image. */
  | { kind: 'image'; task: number; image: PackedAdapter; nanoseconds: number }
  | { kind: 'failed'; task: number; code: 'bad_path' | 'bad_file'; message: string };
