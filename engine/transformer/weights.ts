/**
 * The base model's weights on the device, in the layouts the kernels read, and the seeded random ones of a preset; those of
 * a folder come from upload-checkpoint.ts. Allocating and filling are two moves, so that a device without the memory is
 * noticed before anything is sent or dispatched into it.
 */
import { padColumns } from '../kernels/matmul.ts';
import { type RandomJob, type RandomWeights, randomColumns } from '../kernels/random-weights.ts';
import { type WeightLayout, wordsOf } from '../kernels/weight-format.ts';
import { amplitudeOf, OUTSIDE_LAYERS, TENSOR, tensorKey } from '../lora/random-f16.ts';
import type { Geometry } from '../models/geometry.ts';
import { GROUPS, type Group, groupShapes, type Slice } from './dimensions.ts';
import type { WeightLayouts } from './weight-layouts.ts';

export interface Weights {
  /** How the matrices lie (kernels/weight-format.ts); columns of padding are zero. */
  layouts: WeightLayouts;
  /** [layer][group]: [n, k] */
  layers: Record<Group, GPUBuffer>[];
  /** [vocab, hidden] */
  embedding: GPUBuffer;
  /** The embedding itself when tied. */
  head: GPUBuffer;
  /** [layer]: before attention and before the MLP, and the last one; f32 [hidden] each. With shared norms all are one buffer. */
  inputNorms: GPUBuffer[];
  postAttentionNorms: GPUBuffer[];
  finalNorm: GPUBuffer;
}

/** Random models have norms of ones, for which one buffer is enough; those of a checkpoint differ from layer to layer. */
export type Norms = 'shared' | 'own';

/** Bytes on the device: of each group of a layer, of the embedding table, of a head of its own, of norms, and of everything. */
export function weightSizes(g: Geometry, layouts: WeightLayouts, norms: Norms) {
  const shapes = groupShapes(g);
  const bytes = (layout: WeightLayout, n: number, k: number) => 4 * wordsOf(layout, n, k);
  const groups = Object.fromEntries(
    GROUPS.map((group) => [group, bytes(layouts.projections, shapes[group].n, shapes[group].k)]),
  ) as Record<Group, number>;
  const layer = GROUPS.reduce((sum, group) => sum + groups[group], 0);
  const embedding = bytes(layouts.embedding, padColumns(g.vocab), g.hidden);
  const head = g.tied ? 0 : bytes(layouts.head, padColumns(g.vocab), g.hidden);
  const norm = 4 * g.hidden;
  const allNorms = norm * (norms === 'shared' ? 1 : 2 * g.layers + 1);
  return { groups, layer, embedding, head, norm, allNorms, total: g.layers * layer + embedding + head + allNorms };
}

/** To be called within an out-of-memory scope. */
export function allocateWeights(
  device: GPUDevice,
  g: Geometry,
  layouts: WeightLayouts,
  norms: Norms = 'shared',
): Weights {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const sizes = weightSizes(g, layouts, norms);
  const buffer = (label: string, size: number) => device.createBuffer({ label, size, usage });
  const perLayer = <T>(make: (layer: number) => T): T[] => Array.from({ length: g.layers }, (_, layer) => make(layer));
  const layers = perLayer(
    (layer) =>
      Object.fromEntries(
        GROUPS.map((group) => [group, buffer(`layer ${layer} ${group}`, sizes.groups[group])]),
      ) as Record<Group, GPUBuffer>,
  );
  const embedding = buffer('embedding', sizes.embedding);
  const head = g.tied ? embedding : buffer('head', sizes.head);
  const finalNorm = buffer(norms === 'shared' ? 'norms' : 'final norm', sizes.norm);
  const norm = (label: string) => (norms === 'shared' ? finalNorm : buffer(label, sizes.norm));
  return {
    layouts,
    layers,
    embedding,
    head,
    inputNorms: perLayer((layer) => norm(`layer ${layer} input norm`)),
    postAttentionNorms: perLayer((layer) => norm(`layer ${layer} post-attention norm`)),
    finalNorm,
  };
}

/** Fills them from the seed, norms with ones, queued before any step submitted later. */
export function fillWeights(
  device: GPUDevice,
  random: RandomWeights,
  weights: Weights,
  g: Geometry,
  seed: number,
): void {
  const { layouts } = weights;
  const shapes = groupShapes(g);
  const job = (
    into: GPUBuffer,
    layout: WeightLayout,
    layer: number,
    k: number,
    { tensor, at, columns, gain }: Slice,
  ): RandomJob & { into: GPUBuffer } => ({
    into,
    ...randomColumns(layout, { at, columns, k }),
    key: tensorKey(seed, layer, tensor),
    amplitude: amplitudeOf(k, gain),
  });
  const table = (tensor: number): Slice => ({ tensor, at: 0, columns: g.vocab, gain: 1 });
  random.make([
    ...weights.layers.flatMap((buffers, layer) =>
      GROUPS.flatMap((group) =>
        shapes[group].slices.map((slice) => job(buffers[group], layouts.projections, layer, shapes[group].k, slice)),
      ),
    ),
    job(weights.embedding, layouts.embedding, OUTSIDE_LAYERS, g.hidden, table(TENSOR.embed)),
    ...(g.tied ? [] : [job(weights.head, layouts.head, OUTSIDE_LAYERS, g.hidden, table(TENSOR.head))]),
  ]);
  const ones = new Float32Array(g.hidden).fill(1);
  const norms = new Set([...weights.inputNorms, ...weights.postAttentionNorms, weights.finalNorm]);
  for (const norm of norms) device.queue.writeBuffer(norm, 0, ones);
}
