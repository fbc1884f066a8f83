/** Draws of sample.wgsl's kernels: logits and requests in, ids out, and what the oracle says of the same. */
import type { SequenceRequest } from '../../../engine/core.ts';
import type { Kernel } from '../../../engine/kernels/kernel.ts';
import { sample, sampleConstants, sampleGrid } from '../../../engine/kernels/sample.ts';
import { makeBatch } from './batches.ts';
import { randomFrom } from './random.ts';
import { runKernel } from './run-kernel.ts';
import { type Kept, sampleOracle } from './sample-oracle.ts';

export type Asked = Partial<Omit<SequenceRequest, 'prompt' | 'adapter'>>;
/** What is drawn where no logit is a number. */
export const NO_ID = 0xffffffff;

/** Every decode draws its second token: the first came with its prompt. */
export const INDEX = 1;

export async function draw(
  rows: readonly Float32Array[],
  asked: readonly Asked[],
  endIds: number[] = [],
  { kernel, lanes }: { kernel: Kernel; lanes?: number } = { kernel: sample },
): Promise<Uint32Array> {
  const vocab = rows[0]!.length;
  const batch = makeBatch({
    decodes: asked.map((request) => ({ context: 1, request })),
    blocks: asked.length,
    endIds,
    vocab,
  });
  const logits = new Float32Array(rows.length * vocab);
  rows.forEach((row, i) => {
    logits.set(row, i * vocab);
  });
  const bound = [batch.data, logits, { words: rows.length }];
  const [ids] = await runKernel(kernel, sampleConstants(vocab, lanes), bound, sampleGrid(rows.length));
  return ids!;
}

/** Logits in [-4, 4) no two of which are nearer than half their mean distance, so that no rounding decides a cut-off. */
export function distinctLogits(vocab: number, seed: number): Float32Array<ArrayBuffer> {
  const random = randomFrom(seed);
  const steps = Array.from({ length: vocab }, (_, i) => i);
  return Float32Array.from(random.shuffle(steps), (i) => (8 * (i + 0.5 * random.next())) / Math.max(vocab, 2) - 4);
}

export const oracle = (logits: Float32Array, asked: Asked, masked: number[] = []): Kept =>
  sampleOracle(logits, { temperature: 1, topP: 1, topK: 0, seed: 0, ...asked, index: INDEX, masked });

/** The winner, or null when the two best are too near for f32 to tell. */
export function winner({ ids, scores }: Kept): number | null {
  const order = scores.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  const [first, second] = [scores[order[0]!]!, scores[order[1] ?? -1] ?? -Infinity];
  return first - second > 1e-4 * (1 + Math.abs(first)) ? ids[order[0]!]! : null;
}
