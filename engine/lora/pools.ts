/** Device memory of the adapters: one A and one B buffer a layer, in rank pages shared by number across layers and groups. */
import type { RandomJob, RandomWeights } from '../kernels/random-weights.ts';
import type { Geometry } from '../models/geometry.ts';
import { GROUPS, groupShapes, type LoraLayout } from '../transformer/dimensions.ts';
import { amplitudeOf, TENSOR, tensorKey } from './random-f16.ts';
import { RANKS_PER_PAGE, type ResidentAdapter } from './slots.ts';

export interface LayerPool {
  /** f16 pairs along the input: per group [page][slice][8][k / 2] */
  a: GPUBuffer;
  /** f16 pairs of ranks: per group [page][4][n] */
  b: GPUBuffer;
}

export class LoraPools {
  readonly layers: LayerPool[];
  private readonly geometry: Geometry;
  private readonly layout: LoraLayout;
  private readonly random: RandomWeights;

  constructor(device: GPUDevice, random: RandomWeights, geometry: Geometry, layout: LoraLayout) {
    this.geometry = geometry;
    this.layout = layout;
    this.random = random;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    this.layers = Array.from({ length: geometry.layers }, (_, layer) => ({
      a: device.createBuffer({ label: `layer ${layer} lora A`, size: 4 * layout.aWords, usage }),
      b: device.createBuffer({ label: `layer ${layer} lora B`, size: 4 * layout.bWords, usage }),
    }));
  }

  /** Bytes an adapter of this rank takes, all layers. */
  bytesOf(rank: number): number {
    const pageWords = (this.layout.aWords + this.layout.bWords) / Math.max(1, this.layout.pages);
    return Math.ceil(rank / RANKS_PER_PAGE) * pageWords * 4 * this.geometry.layers;
  }

  /** Writes a synthetic adapter's pages: A of variance 1 / in, B of 1 / rank. Queued before any step submitted later. */
  makeSynthetic(adapter: ResidentAdapter, seed: number): void {
    const shapes = groupShapes(this.geometry);
    const jobs: (RandomJob & { into: GPUBuffer })[] = [];
    this.layers.forEach((pool, layer) => {
      for (const group of GROUPS) {
        const { k, n, slices } = shapes[group];
        const { aAt, bAt } = this.layout.groups[group];
        slices.forEach(({ tensor, at, columns }, slice) => {
          adapter.pages.forEach((poolPage, page) => {
            const { rank } = adapter;
            const halfIn = k / 2;
            jobs.push({
              into: pool.a,
              entry: 'lora_a',
              key: tensorKey(seed, layer, TENSOR.loraA + tensor),
              amplitude: amplitudeOf(k, 1),
              words: RANKS_PER_PAGE * halfIn,
              first: aAt + (poolPage * slices.length + slice) * RANKS_PER_PAGE * halfIn,
              halfIn,
              rank,
              page,
            });
            jobs.push({
              into: pool.b,
              entry: 'lora_b',
              key: tensorKey(seed, layer, TENSOR.loraB + tensor),
              amplitude: amplitudeOf(rank, 1),
              words: (RANKS_PER_PAGE / 2) * columns,
              first: bAt + poolPage * (RANKS_PER_PAGE / 2) * n + at,
              halfIn: n,
              rank,
              page,
              rows: columns,
            });
          });
        });
      }
    });
    this.random.make(jobs);
  }
}
