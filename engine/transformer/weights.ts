/**
 * The base model's weights on the device, in the layouts the kernels read, and the seeded random ones of a preset; those of
 * a folder come from upload-checkpoint.ts. Allocating and filling are two moves, so that a device without the memory is
 * noticed before anything is sent or dispatched into it.
 */
import { padColumns } from '../kernels/matmul.ts';
import type { RandomJob, RandomWeights } from '../kernels/random-weights.ts';
import { amplitudeOf, OUTSIDE_LAYERS, TENSOR, tensorKey } from '../lora/random-f16.ts';
import type { Geometry } from '../models/geometry.ts';
import { GROUPS, type Group, groupShapes, type Slice } from './dimensions.ts';

export interface Weights {
  /** [layer][group]: f16 tiles [n / 32][k / 2][32], columns of padding zero */
  layers: Record<Group, GPUBuffer>[];
  /** f16 tiles [vocab / 32][hidden / 2][32] */
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

/** Bytes on the device: of each group of a layer, of an embedding table, of all norms, and of everything. */
export function weightSizes(g: Geometry, norms: Norms) {
  const shapes = groupShapes(g);
  const groups = Object.fromEntries(GROUPS.map((group) => [group, shapes[group].n * shapes[group].k * 2])) as Record<
    Group,
    number
  >;
  const layer = GROUPS.reduce((sum, group) => sum + groups[group], 0);
  const table = padColumns(g.vocab) * g.hidden * 2;
  const norm = 4 * g.hidden;
  const allNorms = norm * (norms === 'shared' ? 1 : 2 * g.layers + 1);
  return { groups, layer, table, norm, allNorms, total: g.layers * layer + table * (g.tied ? 1 : 2) + allNorms };
}

/** To be called within an out-of-memory scope. */
export function allocateWeights(device: GPUDevice, g: Geometry, norms: Norms = 'shared'): Weights {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const sizes = weightSizes(g, norms);
  const buffer = (label: string, size: number) => device.createBuffer({ label, size, usage });
  const perLayer = <T>(make: (layer: number) => T): T[] => Array.from({ length: g.layers }, (_, layer) => make(layer));
  const layers = perLayer(
    (layer) =>
      Object.fromEntries(
        GROUPS.map((group) => [group, buffer(`layer ${layer} ${group}`, sizes.groups[group])]),
      ) as Record<Group, GPUBuffer>,
  );
  const embedding = buffer('embedding', sizes.table);
  const head = g.tied ? embedding : buffer('head', sizes.table);
  const finalNorm = buffer(norms === 'shared' ? 'norms' : 'final norm', sizes.norm);
  const norm = (label: string) => (norms === 'shared' ? finalNorm : buffer(label, sizes.norm));
  return {
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
  const ones = new Float32Array(g.hidden).fill(1);
  const norms = new Set([...weights.inputNorms, ...weights.postAttentionNorms, weights.finalNorm]);
  for (const norm of norms) device.queue.writeBuffer(norm, 0, ones);
}
