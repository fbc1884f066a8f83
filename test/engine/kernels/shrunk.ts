/** s as a shrink leaves it: x · Aᵀ over each row's own rank, 0 up to the next four, and not a word for anything else. */
import { expect } from 'vitest';
import type { ResidentAdapter } from '../../../engine/lora/slots.ts';
import type { Batch } from './batches.ts';
import type { LoraTensors } from './lora-tensors.ts';
import { shrinkOracle } from './oracles.ts';
import { asFloats, POISON } from './run-kernel.ts';

interface Shrunk {
  tensors: LoraTensors;
  k: number;
  x: Float32Array;
  slices: number;
  ranks: number;
  /** Of one number of s; f32 in any order by default. */
  oracle?(adapter: ResidentAdapter, where: { row: number; slice: number; r: number }): { value: number; bound: number };
}

export function expectShrunk(
  batch: Batch,
  s: Uint32Array<ArrayBuffer>,
  { tensors, k, x, slices, ranks, oracle }: Shrunk,
): void {
  const got = asFloats(s);
  batch.rows.forEach(({ adapter }, row) => {
    for (let slice = 0; slice < slices; slice++) {
      for (let r = 0; r < ranks; r++) {
        const at = (row * slices + slice) * ranks + r;
        const where = `row ${row} (${adapter ? `rank ${adapter.rank}` : 'base'}), slice ${slice}, rank ${r}`;
        if (adapter && r < adapter.rank) {
          const at32 = () => shrinkOracle(tensors, adapter, k, x, { row, slice, r });
          const { value, bound } = oracle?.(adapter, { row, slice, r }) ?? at32();
          if (!(Math.abs(got[at]! - value) <= bound))
            throw new Error(`${where}: ${got[at]} where ${value} ± ${bound} is right`);
        } else if (adapter && r < 4 * Math.ceil(adapter.rank / 4)) {
          expect(got[at], where).toBe(0); // matmul reads ranks in pairs
        } else {
          expect(s[at], `${where} is nobody's`).toBe(POISON);
        }
      }
    }
  });
}
