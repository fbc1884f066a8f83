/** Blocks are handed out whole, once, and come back. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BlockManager } from '../../../engine/scheduler/block-manager.ts';

it('gives distinct blocks for the positions asked, or none at all', () => {
  const takes = fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constant<'give'>('give')), { maxLength: 60 });
  fc.assert(
    fc.property(fc.nat(40), fc.constantFrom(1, 7, 16), takes, (total, blockSize, moves) => {
      const manager = new BlockManager(total, blockSize);
      const held: number[][] = [];
      for (const move of moves) {
        const free = total - held.flat().length;
        if (move === 'give') {
          const back = held.shift();
          if (back) manager.give(back);
          continue;
        }
        const blocks = manager.take(move);
        const needed = Math.ceil(move / blockSize);
        expect(blocks === null).toBe(needed > free);
        if (!blocks) continue;
        expect(blocks.length).toBe(needed);
        held.push(blocks);
        const all = held.flat();
        expect(new Set(all).size).toBe(all.length);
        for (const block of blocks) expect(block >= 0 && block < total).toBe(true);
        expect(manager.free).toBe(total - all.length);
      }
    }),
  );
});
