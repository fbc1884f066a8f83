/**
 * The base model's weights on the device: seeded random ones in the layout matmul.wgsl reads (files come later). Allocating
 * and filling are two moves, so that a device without the memory is noticed before anything is dispatched into it.
 */
import { padColumns } from '../kernels/matmul.ts';
import type { RandomJob, RandomWeights } from '../kernels/random-weights.ts';
import { amplitudeOf, OUTSIDE_LAYERS, TENSOR, tensorKey } from '../lora/random-f16.ts';
import type { Geometry } from '../models/geometry.ts';
import { GROUPS, type Group, groupShapes, type Slice } from './dimensions.ts';

export interface Weights {
  /** [layer][group]: f16 tiles [n / 32][k / 2][32] */
  layers: Record<Group, GPUBuffer>[];
  /** f16 tiles [vocab / 32][hidden / 2][32] */
  embedding: GPUBuffer;
  /** The embedding itself when tied. */
  head: GPUBuffer;
  /** f32 [hidden]: all ones in a random model, so one buffer serves every norm. */
  norm: GPUBuffer;
}

/** To be called within an out-of-memory scope. */
export function allocateWeights(device: GPUDevice, g: Geometry): Weights {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const shapes = groupShapes(g);
  const matrix = (label: string, n: number, k: number) => device.createBuffer({ label, size: n * k * 2, usage });
  const layers = Array.from(
    { length: g.layers },
    (_, layer) =>
      Object.fromEntries(
        GROUPS.map((group) => [group, matrix(`layer ${layer} ${group}`, shapes[group].n, shapes[group].k)]),
      ) as Record<Group, GPUBuffer>,
  );
  const embedding = matrix('embedding', padColumns(g.vocab), g.hidden);
  const head = g.tied ? embedding : matrix('head', padColumns(g.vocab), g.hidden);
  return { layers, embedding, head, norm: device.createBuffer({ label: 'norm weights', size: 4 * g.hidden, usage }) };
}

/** Fills them from the seed, queued before any step submitted later. */
export function fillWeights(
  device: GPUDevice,
  random: RandomWeights,
  weights: Weights,
  g: Geometry,
  seed: number,
): void {
  const shapes = groupShapes(g);
  const job = (
    into: GPUBuffer,
    layer: number,
    k: number,
    { tensor, at, columns, gain }: Slice,
  ): RandomJob & { into: GPUBuffer } => ({
    into,
    entry: 'base',
    key: tensorKey(seed, layer, tensor),
    amplitude: amplitudeOf(k, gain),
    words: (columns * k) / 2,
    first: (at * k) / 2,
    halfIn: k / 2,
  });
  const table = (tensor: number): Slice => ({ tensor, at: 0, columns: g.vocab, gain: 1 });
  random.make([
    ...weights.layers.flatMap((buffers, layer) =>
      GROUPS.flatMap((group) =>
        shapes[group].slices.map((slice) => job(buffers[group], layer, shapes[group].k, slice)),
      ),
    ),
    job(weights.embedding, OUTSIDE_LAYERS, g.hidden, table(TENSOR.embed)),
    ...(g.tied ? [] : [job(weights.head, OUTSIDE_LAYERS, g.hidden, table(TENSOR.head))]),
  ]);
  device.queue.writeBuffer(weights.norm, 0, new Float32Array(g.hidden).fill(1));
}
