/** A layer's key or value cache for attention tests, through the batch's own block tables. */
import type { AttentionShape } from '../../../engine/kernels/attention.ts';
import { f16Value } from '../../../engine/lora/random-f16.ts';
import type { Batch } from './batches.ts';
import { halves, randomFrom } from './random.ts';
import { POISON } from './run-kernel.ts';

/** A cache that holds f16 numbers where the batch's sequences have positions up to their last row, and NaN elsewhere. */
export function makeCache(
  batch: Batch,
  { kvHeads, headDim }: Pick<AttentionShape, 'kvHeads' | 'headDim'>,
  seed: number,
) {
  const size = batch.totalBlocks * kvHeads * batch.blockSize * headDim;
  const words = new Uint32Array(size / 2).fill(POISON);
  const bits = new Uint16Array(words.buffer);
  const random = randomFrom(seed);
  const tables = new Map(batch.rows.map(({ sequence }) => [sequence.id, sequence.blocks]));
  const at = (id: number, head: number, position: number, i: number) => {
    const block = (tables.get(id) as number[])[Math.floor(position / batch.blockSize)] as number;
    return ((block * kvHeads + head) * batch.blockSize + (position % batch.blockSize)) * headDim + i;
  };
  for (const { sequence, first, count } of batch.step.parts) {
    for (let p = 0; p < first + count; p++) {
      for (let head = 0; head < kvHeads; head++) bits.set(halves(random, headDim).bits, at(sequence.id, head, p, 0));
    }
  }
  return { words, element: (...where: [number, number, number, number]) => f16Value(bits[at(...where)] as number) };
}
