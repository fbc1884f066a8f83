/** Damage to files, for fuzz tests, and a source that keeps count of what a parser asks for. */
import fc from 'fast-check';
import { type ByteSource, bufferSource } from '../../../engine/tensor-files/byte-source.ts';

export type Edit =
  | { kind: 'flip'; at: number; bits: number }
  | { kind: 'word'; at: number; value: number }
  | { kind: 'cut'; at: number }
  | { kind: 'remove'; at: number; count: number }
  | { kind: 'repeat'; at: number; count: number };

function edited(bytes: Uint8Array, edit: Edit): Uint8Array {
  const at = edit.at % Math.max(1, bytes.length);
  if (edit.kind === 'cut') return bytes.slice(0, at);
  if (edit.kind === 'remove') return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + edit.count)]);
  if (edit.kind === 'repeat') return Buffer.concat([bytes.subarray(0, at + edit.count), bytes.subarray(at)]);
  const copy = new Uint8Array(bytes);
  if (edit.kind === 'flip') copy[at] = (copy[at] ?? 0) ^ edit.bits;
  else if (copy.length >= 4) new DataView(copy.buffer).setUint32(Math.min(at, copy.length - 4), edit.value, true);
  return copy;
}

/** Places are chosen evenly over the file: headers and their ends matter as much as its begin. */
function edits(size: number): fc.Arbitrary<Edit> {
  const at = fc.noBias(fc.integer({ min: 0, max: size - 1 }));
  const count = fc.integer({ min: 1, max: 64 });
  const value = fc.oneof(fc.constantFrom(0xffffffff, 0x7fffffff, 0x10000), fc.integer({ min: 0, max: size }));
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('flip' as const), at, bits: fc.integer({ min: 1, max: 255 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('word' as const), at, value }) },
    fc.record({ kind: fc.constant('cut' as const), at }),
    fc.record({ kind: fc.constant('remove' as const), at, count }),
    fc.record({ kind: fc.constant('repeat' as const), at, count }),
  );
}

/** 1 to `most` edits of so many bytes; a test that fails prints them, not the file. */
export const damages = (size: number, most = 3): fc.Arbitrary<Edit[]> =>
  fc.array(edits(size), { minLength: 1, maxLength: most });

export const damaged = (bytes: Uint8Array, list: readonly Edit[]): Uint8Array =>
  list.reduce((now, edit) => edited(now, edit), bytes);

export interface CountingSource extends ByteSource {
  /** Of all reads, and of the largest; reads past the end are refused by the source and not counted. */
  readonly total: () => number;
  readonly largest: () => number;
}

export function countingSource(content: Uint8Array): CountingSource {
  const source = bufferSource('damaged', content);
  let total = 0;
  let largest = 0;
  return {
    ...source,
    async read(at, count) {
      const bytes = await source.read(at, count);
      total += bytes.length;
      largest = Math.max(largest, bytes.length);
      return bytes;
    },
    total: () => total,
    largest: () => largest,
  };
}
