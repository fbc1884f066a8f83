/**
 * Random weights made in place on the device: see random-weights.wgsl. Jobs are queued and sent in batches through one
 * uniform buffer with dynamic offsets, so that loading an adapter while requests run creates nothing.
 */
import type { Amplitude } from '../lora/random-f16.ts';
import { type CompiledKernel, defineKernel, type KernelCompiler } from './kernel.ts';

const ENTRIES = ['base', 'lora_a', 'lora_b'] as const;
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
  /** Words to write (lora_b: pairs x rows), first of them at word `first`. */
  words: number;
  first: number;
  /** in / 2; for lora_b the stride between rank pairs. */
  halfIn: number;
  rank?: number;
  page?: number;
  rows?: number;
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
    const [base, loraA, loraB] = compiled as [CompiledKernel, CompiledKernel, CompiledKernel];
    return new RandomWeights(compiler.device, { base, lora_a: loraA, lora_b: loraB });
  }

  /** Queues the jobs' dispatches behind what the device already has to do. */
  make(jobs: readonly (RandomJob & { into: GPUBuffer })[]): void {
    for (let from = 0; from < jobs.length; from += SLOTS) this.batch(jobs.slice(from, from + SLOTS));
  }

  private batch(jobs: readonly (RandomJob & { into: GPUBuffer })[]): void {
    const data = new Uint32Array((STRIDE / 4) * jobs.length);
    jobs.forEach((job, i) => {
      const { magnitude, exponent, smallest } = job.amplitude;
      const { key, words, first, halfIn, rank = 0, page = 0, rows = 0 } = job;
      data.set([key, magnitude, exponent, smallest, words, first, halfIn, rank, page, rows], i * (STRIDE / 4));
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
