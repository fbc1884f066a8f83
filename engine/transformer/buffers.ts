/** The engine's fixed device memory besides weights and adapters: activations, KV cache, step data and the readback ring. */
import type { Geometry } from '../models/geometry.ts';
import { KV_BLOCK, type Sizes, scratchSizes } from './memory-plan.ts';

export interface Buffers {
  /** u32, see scheduler/step-data.ts */
  step: GPUBuffer;
  /** Residual stream, read from one and written to the other. f32 [rows, hidden] */
  x0: GPUBuffer;
  x1: GPUBuffer;
  /** f32 [rows, hidden] */
  normed: GPUBuffer;
  /** f32 [rows, (heads + 2 kvHeads) * headDim] */
  qkv: GPUBuffer;
  /** f32 [rows, heads * headDim] */
  q: GPUBuffer;
  attended: GPUBuffer;
  /** f32 [rows, intermediate] */
  activated: GPUBuffer;
  /** f32 [rows, slices, ranks] */
  shrunk: GPUBuffer;
  /** f32 [sequences, hidden] */
  last: GPUBuffer;
  /** f32 [sequences, vocab] */
  logits: GPUBuffer;
  /** f32, partial sums of a product: see kernels/split-k.ts. Of no size where no kernel leaves any. */
  partials: GPUBuffer;
  /** f32 [positions, headDim / 2, 2] */
  angles: GPUBuffer;
  /** f32 [decode, head, split, headDim + 4]: kernels/attention-split.wgsl */
  attentionPieces: GPUBuffer;
  /** u32 [sequences]; a step writes one and reads the other, where the step before it wrote. */
  ids: readonly [GPUBuffer, GPUBuffer];
  /** Where ids are copied to be read; one more than the steps that can be under way. */
  readback: readonly GPUBuffer[];
  /** Bound where a kernel variant does not use a binding. */
  unused: GPUBuffer;
  /** [layer]: f16 [block][kv head][position in block][headDim] */
  kv: readonly { k: GPUBuffer; v: GPUBuffer }[];
}

const READBACKS = 3;

/** To be called within an out-of-memory scope; `angles` is to be filled once that has passed. */
export function allocateBuffers(device: GPUDevice, g: Geometry, sizes: Sizes, ranks: number): Buffers {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const storage = (label: string, size: number) => device.createBuffer({ label, size: Math.max(16, size), usage });
  const scratch = scratchSizes(
    g,
    sizes.maxNumBatchedTokens,
    sizes.maxNumSeqs,
    ranks,
    sizes.maxModelLen,
    sizes.partialBytes,
  );
  const named = Object.fromEntries(
    Object.entries(scratch).map(([label, size]) => [label, storage(label, size)]),
  ) as Record<keyof typeof scratch, GPUBuffer>;
  const idBytes = 4 * sizes.maxNumSeqs;
  const cacheBytes = sizes.kvBlocks * KV_BLOCK * g.kvHeads * g.headDim * 2;
  return {
    ...named,
    step: storage('step', 4 * sizes.stepWords),
    ids: [storage('ids 0', idBytes), storage('ids 1', idBytes)],
    readback: Array.from({ length: READBACKS }, (_, i) =>
      device.createBuffer({
        label: `readback ${i}`,
        size: Math.max(16, idBytes),
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      }),
    ),
    unused: storage('unused', 16),
    kv: Array.from({ length: g.layers }, (_, layer) => ({
      k: storage(`layer ${layer} k cache`, cacheBytes),
      v: storage(`layer ${layer} v cache`, cacheBytes),
    })),
  };
}
