/**
 * One entry of kernels/fold.wgsl, compiled for the four groups of a model, with the small buffers it shares among layers:
 * where the adapter lies, DoRA's m and the marks. In: a layer's weights and pools. Out: queued dispatches.
 *
 * Each call sends its own parameters before it dispatches, so calls for different adapters may take turns.
 */
import { foldConstants, foldGrid, PLACE_WORDS } from '../kernels/fold.ts';
import { type CompiledKernel, dispatch, type Kernel, type KernelCompiler } from '../kernels/kernel.ts';
import type { WeightLayout } from '../kernels/weight-format.ts';
import type { Geometry } from '../models/geometry.ts';
import { GROUPS, type Group, type GroupShape, groupShapes, type LoraLayout } from '../transformer/dimensions.ts';
import type { Place } from './place.ts';
import type { LayerPool } from './pools.ts';

const NOT_A_NUMBER = 0x7fc00000;

/**
 * Arithmetic that takes about as long as copying a byte to the device, so that a budget in bytes holds for a dispatch too:
 * some 10 TFLOP/s beside 10 GB/s over a bus, or 1 GFLOP/s beside 4 GB/s where the device is the processor itself.
 */
const OPERATIONS_PER_BYTE = { hardware: 1000, software: 0.25 };

export interface FoldTarget {
  group: Group;
  /** The group's weights, and the pools of its layer. */
  weights: GPUBuffer;
  pool: LayerPool;
  place: Pick<Place, 'rank' | 'scale' | 'pages'>;
  /** DoRA's m of the layer, one a column of every group; null where it has none. */
  magnitude: Float32Array<ArrayBuffer> | null;
  /** What the group's marks hold before: column words of the layer; null for zeros. */
  marks: Uint32Array<ArrayBuffer> | null;
}

export class FoldGroup {
  readonly shapes: Record<Group, GroupShape>;
  private readonly device: GPUDevice;
  private readonly layout: LoraLayout;
  private readonly kernels: Record<Group, CompiledKernel>;
  private readonly software: boolean;
  private readonly bound = new Map<GPUBuffer, { pool: LayerPool; group: GPUBindGroup }>();
  private readonly place: GPUBuffer;
  private readonly m: GPUBuffer;
  /** u32, one a column of every group. */
  readonly marks: GPUBuffer;
  private readonly zeros: Uint32Array<ArrayBuffer>;
  private readonly none: Uint32Array<ArrayBuffer>;

  private constructor(
    device: GPUDevice,
    geometry: Geometry,
    layout: LoraLayout,
    kernels: Record<Group, CompiledKernel>,
    software: boolean,
  ) {
    this.device = device;
    this.software = software;
    this.layout = layout;
    this.kernels = kernels;
    this.shapes = groupShapes(geometry);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const buffer = (label: string, words: number) =>
      device.createBuffer({ label, size: 4 * Math.max(4, words), usage });
    this.place = buffer('fold: place', PLACE_WORDS + layout.pages);
    this.m = buffer('fold: m', layout.columnWords);
    this.marks = buffer('fold: marks', layout.columnWords);
    const most = Math.max(...GROUPS.map((group) => this.shapes[group].n));
    this.zeros = new Uint32Array(most);
    this.none = new Uint32Array(most).fill(NOT_A_NUMBER);
  }

  /**
   * @param weights layout of the matrices that it is to be run on
   * @throws EngineError bug, when it does not compile
   */
  static async create(
    compiler: KernelCompiler,
    kernel: Kernel,
    geometry: Geometry,
    layout: LoraLayout,
    weights: WeightLayout,
    software: boolean,
  ): Promise<FoldGroup> {
    const shapes = groupShapes(geometry);
    const compiled = await Promise.all(
      GROUPS.map(async (group) => [
        group,
        await compiler.compile(kernel, foldConstants(shapes[group], layout, weights, software)),
      ]),
    );
    return new FoldGroup(compiler.device, geometry, layout, Object.fromEntries(compiled), software);
  }

  /** Queues the group's dispatch, and then what `after` records: copies of the marks, say. */
  run(target: FoldTarget, after: (encoder: GPUCommandEncoder) => void): void {
    const { group, place, magnitude, marks } = target;
    const { queue } = this.device;
    const { n } = this.shapes[group];
    const first = this.layout.groupColumns[group];
    const words = new Uint32Array(PLACE_WORDS + place.pages.length);
    new Float32Array(words.buffer).fill(place.scale, 1, 2);
    words[0] = place.rank;
    words[2] = magnitude ? 1 : 0;
    words.set(place.pages, PLACE_WORDS);
    queue.writeBuffer(this.place, 0, words);
    if (magnitude) queue.writeBuffer(this.m, 4 * first, magnitude, first, n);
    else queue.writeBuffer(this.m, 4 * first, this.none, 0, n);
    if (marks) queue.writeBuffer(this.marks, 4 * first, marks, first, n);
    else queue.writeBuffer(this.marks, 4 * first, this.zeros, 0, n);
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    dispatch(pass, { pipeline: this.kernels[group].pipeline, group: this.bind(target) }, foldGrid(this.shapes[group]));
    pass.end();
    after(encoder);
    queue.submit([encoder.finish()]);
  }

  /** Bytes whose copying to the device takes about as long as the group's dispatch for an adapter of this rank. */
  costOf(group: Group, rank: number): number {
    const { k, n } = this.shapes[group];
    const perByte = this.software ? OPERATIONS_PER_BYTE.software : OPERATIONS_PER_BYTE.hardware;
    return Math.ceil((2 * n * k * (rank + 1)) / perByte);
  }

  destroy(): void {
    for (const buffer of [this.place, this.m, this.marks]) buffer.destroy();
  }

  /** Kept for a matrix and its layer's pools, so that loading an adapter while requests run creates nothing. */
  private bind({ group, weights, pool }: FoldTarget): GPUBindGroup {
    const kept = this.bound.get(weights);
    if (kept?.pool === pool) return kept.group;
    const made = this.kernels[group].bind(this.place, weights, pool.a, pool.b, this.m, this.marks);
    this.bound.set(weights, { pool, group: made });
    return made;
  }
}
