/**
 * Random weights made in place on the device: see random-weights.wgsl. Jobs are queued and sent in batches through one
 * uniform buffer with dynamic offsets, so that loading an adapter while requests run creates nothing.
 */
import type { Amplitude } from '../lora/random-f16.ts';
import { type CompiledKernel, defineKernel, type KernelCompiler } from './kernel.ts';
import { BLOCK_DEPTH, LANES, type WeightLayout, wordsOf } from './weight-format.ts';

const ENTRIES = ['base', 'blocks', 'lora_a', 'lora_b'] as const;
export type RandomEntry = (typeof ENTRIES)[number];

/** parameters -> weights; one kernel an entry point */
export const randomWeights = ENTRIES.map((entry) =>
  defineKernel('random-weights', ['uniform', 'write'], { entry, parts: ['lowbias32'] }),
);

const STRIDE = 256; // minUniformBufferOffsetAlignment
const SLOTS = 1024;
const MOST_GROUPS = 65535;

export interface RandomJob {
  entry: RandomEntry;
  key: number;
  amplitude: Amplitude;
  /** Words to write (lora_b: pairs x rows; blocks: columns of blocks), first of them at word `first`. */
  words: number;
  first: number;
  /** in / 2; for lora_b the stride between rank pairs. */
  halfIn: number;
  rank?: number;
  page?: number;
  rows?: number;
  /** base and blocks: words of a column that lie together; 1 by default. */
  pack?: number;
  /** blocks: of a q, 8 or 4. */
  bits?: number;
}

/**
 * What of a job follows from the layout, for `columns` of a matrix from column `at` on.
 * @param columns and `at`: whole tiles
 */
export function randomColumns(
  layout: WeightLayout,
  { at, columns, k }: { at: number; columns: number; k: number },
): Omit<RandomJob, 'key' | 'amplitude'> {
  const { format, pack } = layout;
  const shared = { first: wordsOf(layout, at, k), halfIn: k / 2, pack };
  if (format === 'f16') return { ...shared, entry: 'base', words: (columns * k) / 2 };
  if (columns % LANES !== 0) throw new Error(`${columns} columns are no whole tiles of ${LANES}`);
  return { ...shared, entry: 'blocks', words: columns * (k / BLOCK_DEPTH), bits: format === 'int8' ? 8 : 4 };
}

export class RandomWeights {
  private readonly device: GPUDevice;
  private readonly kernels: Record<RandomEntry, CompiledKernel>;
  private readonly uniforms: GPUBuffer;
  private readonly groups = new Map<GPUBuffer, GPUBindGroup>();

  private constructor(device: GPUDevice, kernels: Record<RandomEntry, CompiledKernel>) {
    this.device = device;
    this.kernels = kernels;
    this.uniforms = device.createBuffer({
      label: 'random weights: parameters',
      size: STRIDE * SLOTS,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  static async create(compiler: KernelCompiler): Promise<RandomWeights> {
    const compiled = await Promise.all(
      randomWeights.map((kernel) => compiler.compile(kernel, {}, { dynamicOffset: true })),
    );
    const kernels = Object.fromEntries(ENTRIES.map((entry, i) => [entry, compiled[i]]));
    return new RandomWeights(compiler.device, kernels as Record<RandomEntry, CompiledKernel>);
  }

  /** Queues the jobs' dispatches behind what the device already has to do. */
  make(jobs: readonly (RandomJob & { into: GPUBuffer })[]): void {
    for (let from = 0; from < jobs.length; from += SLOTS) this.batch(jobs.slice(from, from + SLOTS));
  }

  private batch(jobs: readonly (RandomJob & { into: GPUBuffer })[]): void {
    const data = new Uint32Array((STRIDE / 4) * jobs.length);
    jobs.forEach((job, i) => {
      const { magnitude, exponent, smallest } = job.amplitude;
      const { key, words, first, halfIn, rank = 0, page = 0, rows = 0, pack = 1, bits = 0 } = job;
      const lora = [rank, page, rows];
      data.set([key, magnitude, exponent, smallest, words, first, halfIn, ...lora, pack, bits], i * (STRIDE / 4));
    });
    this.device.queue.writeBuffer(this.uniforms, 0, data);
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    jobs.forEach((job, i) => {
      const groups = Math.ceil(job.words / 64);
      pass.setPipeline(this.kernels[job.entry].pipeline);
      pass.setBindGroup(0, this.groupOf(job.into), [i * STRIDE]);
      pass.dispatchWorkgroups(Math.min(groups, MOST_GROUPS), Math.ceil(groups / MOST_GROUPS));
    });
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  private groupOf(into: GPUBuffer): GPUBindGroup {
    let group = this.groups.get(into);
    if (!group) {
      group = this.kernels.base.bind({ buffer: this.uniforms, size: 64 }, into);
      this.groups.set(into, group);
    }
    return group;
  }
}
