/** The base model's weights on the device: seeded random ones in the layout matmul.wgsl reads (files come later). */
import { padColumns } from '../kernels/matmul.ts';
import type { RandomJob, RandomWeights } from '../kernels/random-weights.ts';
import { amplitudeOf, OUTSIDE_LAYERS, TENSOR, tensorKey } from '../lora/random-f16.ts';
import type { Geometry } from '../models/geometry.ts';
import { GROUPS, type Group, groupShapes } from './dimensions.ts';

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

export function makeWeights(device: GPUDevice, random: RandomWeights, g: Geometry, seed: number): Weights {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const jobs: (RandomJob & { into: GPUBuffer })[] = [];
  const shapes = groupShapes(g);
  const matrix = (label: string, n: number, k: number) => device.createBuffer({ label, size: n * k * 2, usage });
  const fill = (into: GPUBuffer, layer: number, tensor: number, at: number, columns: number, k: number, gain: number) =>
    jobs.push({
      into,
      entry: 'base',
      key: tensorKey(seed, layer, tensor),
      amplitude: amplitudeOf(k, gain),
      words: (columns * k) / 2,
      first: (at * k) / 2,
      halfIn: k / 2,
    });

  const layers = Array.from({ length: g.layers }, (_, layer) => {
    const buffers = {} as Record<Group, GPUBuffer>;
    for (const group of GROUPS) {
      const { k, n, slices } = shapes[group];
      buffers[group] = matrix(`layer ${layer} ${group}`, n, k);
      for (const { tensor, at, columns, gain } of slices) fill(buffers[group], layer, tensor, at, columns, k, gain);
    }
    return buffers;
  });
  const vocab = padColumns(g.vocab);
  const embedding = matrix('embedding', vocab, g.hidden);
  fill(embedding, OUTSIDE_LAYERS, TENSOR.embed, 0, g.vocab, g.hidden, 1);
  let head = embedding;
  if (!g.tied) {
    head = matrix('head', vocab, g.hidden);
    fill(head, OUTSIDE_LAYERS, TENSOR.head, 0, g.vocab, g.hidden, 1);
  }
  random.make(jobs);
  const norm = device.createBuffer({ label: 'norm weights', size: 4 * g.hidden, usage });
  device.queue.writeBuffer(norm, 0, new Float32Array(g.hidden).fill(1));
  return { layers, embedding, head, norm };
}
