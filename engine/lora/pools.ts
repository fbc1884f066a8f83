/**
 * Device memory of the adapters: one A and one B buffer a layer, in rank pages shared by number across layers and groups, and
 * behind B's pages a word a column for every slot (DoRA's g, a bias).
 *
 * Adapters come as host images (packed-adapter.ts), in slices that a step loop can spread over steps, or are made in place
 * from a seed. Nothing here knows who is entitled to a place, nor waits for the device.
 */
import { EngineError } from '../errors.ts';
import type { RandomJob, RandomWeights } from '../kernels/random-weights.ts';
import type { Geometry } from '../models/geometry.ts';
import { GROUPS, type Group, groupShapes, type LoraLayout } from '../transformer/dimensions.ts';
import type { Weights } from '../transformer/weights.ts';
import { columnPlace } from './column-place.ts';
import type { FoldGroup } from './fold-group.ts';
import type { PackedAdapter, PackedLayer } from './packed-adapter.ts';
import type { Place } from './place.ts';
import { amplitudeOf, TENSOR, tensorKey } from './random-f16.ts';
import { RANKS_PER_PAGE } from './slots.ts';

export interface LayerPool {
  /** f16 pairs along the input: per group [page][slice][8][k / 2] */
  a: GPUBuffer;
  /** f16 pairs of ranks: per group [page][4][n]; then per slot a word a column of every group. */
  b: GPUBuffer;
}

export interface PoolParts {
  random: RandomWeights;
  /** kernels/fold.ts's foldColumns, for DoRA; null without slots. */
  columns: FoldGroup | null;
  weights: Pick<Weights, 'layers'>;
}

/** Bytes queued with one turn of an upload, unless a single write is larger. */
const SLICE_BYTES = 2 * 2 ** 20;

export class LoraPools {
  /** [layer]; empty without slots. */
  readonly layers: LayerPool[];
  private readonly device: GPUDevice;
  private readonly geometry: Geometry;
  private readonly layout: LoraLayout;
  private readonly parts: PoolParts;

  /** To be called within an out-of-memory scope. */
  constructor(device: GPUDevice, geometry: Geometry, layout: LoraLayout, parts: PoolParts) {
    this.device = device;
    this.geometry = geometry;
    this.layout = layout;
    this.parts = parts;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    this.layers = Array.from({ length: layout.slots > 0 ? geometry.layers : 0 }, (_, layer) => ({
      a: device.createBuffer({ label: `layer ${layer} lora A`, size: 4 * layout.aWords, usage }),
      b: device.createBuffer({ label: `layer ${layer} lora B`, size: 4 * layout.bWords, usage }),
    }));
  }

  /** Bytes an adapter of this rank takes, all layers: its pages, and its column words when it has them. */
  bytesOf(rank: number, hasColumns = false): number {
    const shapes = groupShapes(this.geometry);
    const rankWords = GROUPS.reduce(
      (sum, group) => sum + (shapes[group].slices.length * shapes[group].k + shapes[group].n) / 2,
      0,
    );
    const ranks = Math.ceil(rank / RANKS_PER_PAGE) * RANKS_PER_PAGE;
    const words = ranks * rankWords + (hasColumns ? this.layout.columnWords : 0);
    return words * 4 * this.geometry.layers;
  }

  /**
   * Puts an adapter's image into its place. Each turn queues one slice behind what the device already has to do and gives its
   * cost: its bytes, or for DoRA's norms the bytes whose copying would take about as long. All is there when the generator
   * has ended; what is submitted after that sees it.
   */
  *upload(place: Place, packed: PackedAdapter): Generator<number, void> {
    this.check(place, packed);
    let queued = 0;
    for (const [layer, image] of packed.layers.entries()) {
      for (const { into, at, from, first, words } of this.writesOf(layer, image, place)) {
        if (queued > 0 && queued + 4 * words > SLICE_BYTES) {
          yield queued;
          queued = 0;
        }
        this.device.queue.writeBuffer(into, 4 * at, from, first, words);
        queued += 4 * words;
      }
      if (!place.hasColumns || image.magnitude === null) continue;
      if (queued > 0) yield queued;
      queued = 0;
      for (const group of GROUPS) yield this.makeColumns(layer, group, place, image);
    }
    if (queued > 0) yield queued;
  }

  /**
   * The column words of a place, one array a layer, once the work queued so far is done: what upload() has computed, so that
   * a later upload of the same adapter need not.
   * @throws EngineError usage when a g = m / n is no number that f16 holds: a row of W + scale · B · A is zero, say
   */
  async readColumns(place: Pick<Place, 'slot'>): Promise<Uint32Array<ArrayBuffer>[]> {
    const { columnWords } = this.layout;
    const bytes = 4 * columnWords;
    const copy = this.device.createBuffer({
      label: 'column words, read back',
      size: bytes * this.layers.length,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = this.device.createCommandEncoder();
    this.layers.forEach(({ b }, layer) => {
      encoder.copyBufferToBuffer(b, 4 * this.columnsOf(place), copy, layer * bytes, bytes);
    });
    this.device.queue.submit([encoder.finish()]);
    try {
      await copy.mapAsync(GPUMapMode.READ);
      const all = new Uint32Array(copy.getMappedRange().slice(0));
      this.refuseInfinite(all);
      return this.layers.map((_, layer) => all.slice(layer * columnWords, (layer + 1) * columnWords));
    } finally {
      copy.destroy();
    }
  }

  /** Writes a synthetic adapter's pages: A of variance 1 / in, B of 1 / rank. Queued before any step submitted later. */
  makeSynthetic(adapter: Place, seed: number): void {
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
    this.parts.random.make(jobs);
  }

  private check({ rank, pages, hasColumns: room }: Place, packed: PackedAdapter): void {
    const bytes = packed.layers.reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0);
    if (rank === packed.rank && bytes === this.bytesOf(rank) && packed.layers.length === this.layers.length) {
      const extra = packed.layers.some(({ columns, magnitude }) => columns !== null || magnitude !== null);
      if (pages.length === Math.ceil(rank / RANKS_PER_PAGE) && (room || !extra)) return;
    }
    throw new Error(`an adapter of rank ${packed.rank}, ${bytes} bytes, does not go into a place of rank ${rank}`);
  }

  /** First word of a place's column words in the B pool. */
  private columnsOf({ slot }: Pick<Place, 'slot'>): number {
    return this.layout.columnsAt + slot * this.layout.columnWords;
  }

  /** A layer's image, cut at the pages of its place: neighbours of a group stay together. */
  private *writesOf(layer: number, image: PackedLayer, place: Place): Generator<Write> {
    const pool = this.layers[layer] as LayerPool;
    const { columnWords } = this.layout;
    const shapes = groupShapes(this.geometry);
    const runs = runsOf(place.pages);
    let a = 0;
    let b = 0;
    for (const group of GROUPS) {
      const { k, n, slices } = shapes[group];
      const { aAt, bAt } = this.layout.groups[group];
      const aPage = (slices.length * RANKS_PER_PAGE * k) / 2;
      const bPage = (RANKS_PER_PAGE * n) / 2;
      for (const { page, count } of runs) {
        yield { into: pool.a, at: aAt + page * aPage, from: image.a, first: a, words: count * aPage };
        yield { into: pool.b, at: bAt + page * bPage, from: image.b, first: b, words: count * bPage };
        a += count * aPage;
        b += count * bPage;
      }
    }
    // Words of a slot's last adapter must not show in a layer in which this one has none.
    if (!place.hasColumns || image.magnitude !== null) return;
    const from = image.columns ?? new Uint32Array(columnWords);
    yield { into: pool.b, at: this.columnsOf(place), from, first: 0, words: columnWords };
  }

  /** Queues DoRA's g of one group. @returns its cost as upload() tells it */
  private makeColumns(layer: number, group: Group, place: Place, { magnitude, columns }: PackedLayer): number {
    const { parts } = this;
    const pool = this.layers[layer] as LayerPool;
    const weights = parts.weights.layers[layer]?.[group];
    if (!parts.columns || !weights) throw new Error(`layer ${layer} has no ${group}, or pools no kernel for it`);
    const { marks, shapes } = parts.columns;
    const { n } = shapes[group];
    const first = this.layout.groupColumns[group];
    parts.columns.run({ group, weights, pool, place, magnitude, marks: columns }, (encoder) => {
      encoder.copyBufferToBuffer(marks, 4 * first, pool.b, 4 * (this.columnsOf(place) + first), 4 * n);
    });
    return parts.columns.costOf(group, place.rank);
  }

  private refuseInfinite(words: Uint32Array): void {
    const { columnWords } = this.layout;
    const wrong = words.findIndex((word) => (word & 0x7c00) === 0x7c00);
    if (wrong < 0) return;
    const { module, row } = columnPlace(this.geometry, wrong % columnWords);
    throw new EngineError(
      'usage',
      `layer ${Math.floor(wrong / columnWords)}, ${module}: row ${row} of W + scale · B · A is so short beside DoRA's magnitude that f16 cannot hold their quotient`,
    );
  }
}

interface Write {
  into: GPUBuffer;
  /** First word there, and in `from`. */
  at: number;
  from: Uint32Array<ArrayBuffer>;
  first: number;
  words: number;
}

/** Pages that follow each other, as runs. */
function runsOf(pages: readonly number[]): { page: number; count: number }[] {
  const runs: { page: number; count: number }[] = [];
  for (const page of pages) {
    const last = runs.at(-1);
    if (last && last.page + last.count === page) last.count++;
    else runs.push({ page, count: 1 });
  }
  return runs;
}
