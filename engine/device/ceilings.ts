/**
 * What a device can do at most, measured: the figures that speeds are shares of. In: an open device. Out: bandwidths, rates
 * and what a dispatch, a submission, a way there and back and an upload cost.
 *
 * By the wall clock around batches long enough that their submission does not count, which every device has; each figure is
 * the best of several batches, since a ceiling is what can be reached, with the median beside it for how steady it is.
 */

import { EngineError } from '../errors.ts';
import {
  ceilingCopy,
  ceilingFma,
  ceilingMatrix,
  ceilingRead,
  FMA_OPERATIONS,
  MATRIX_PRODUCTS,
} from '../kernels/ceilings.ts';
import { type Call, type CompiledKernel, dispatch, type Grid, type Kernel, KernelCompiler } from '../kernels/kernel.ts';
import type { OpenDevice } from './dawn.ts';

/** The best of several batches, and their median. */
export interface Ceiling {
  best: number;
  median: number;
}

export interface Ceilings {
  /** Bytes that were read (and, in a copy, also written) at a time: many times any cache. */
  bytes: number;
  /** Bytes a second. */
  read: Ceiling;
  /** Bytes a second, those read and those written. */
  copy: Ceiling;
  /** f32 operations a second without tensor cores. */
  fma: Ceiling;
  /** f16 operations a second, summed in f32, with them; null without. */
  matrix: (Ceiling & { m: number; n: number; k: number }) | null;
  /** Microseconds of one of many dispatches that wait for each other, and of recording it. */
  dispatchUs: number;
  encodeUs: number;
  /** Microseconds until submit() of an empty step returns, and of a 4-byte map there and back. */
  submitUs: number;
  mapUs: { p50: number; p99: number };
  /** Bytes a second into the device, 4 MiB at a time. */
  upload: Ceiling;
}

const BATCHES = 5;
const THREADS = 256;
const USAGE = () => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

/** How long a batch takes, and what is moved: less on a processor, whose caches are small and whose time is dear. */
const EFFORT = {
  hardware: { bytes: 2 ** 30, batchMs: 60, groups: 132 * 64, rounds: 4096, maps: 400 },
  software: { bytes: 2 ** 26, batchMs: 120, groups: 64, rounds: 64, maps: 100 },
};

/** @throws EngineError bug, when a kernel does not compile */
export async function measureCeilings({ device, facts }: OpenDevice): Promise<Ceilings> {
  const bench = new Bench(device, facts.software ? EFFORT.software : EFFORT.hardware);
  const { matrix: size, subgroups } = facts;
  const { read, copy, bytes } = await bench.part('bandwidth', () => bench.memory());
  const fma = await bench.part('f32 rate', () => bench.fma());
  const tensor = () => (size && subgroups ? bench.matrix(size, subgroups.max) : Promise.resolve(null));
  const matrix = await bench.part('tensor-core rate', tensor);
  const costs = await bench.part('costs', () => bench.costs());
  return { bytes, read, copy, fma, matrix, ...costs, upload: await bench.part('upload', () => bench.upload()) };
}

class Bench {
  readonly #device: GPUDevice;
  readonly #compiler: KernelCompiler;
  readonly #effort: (typeof EFFORT)['hardware'];
  readonly #buffers: GPUBuffer[] = [];

  constructor(device: GPUDevice, effort: (typeof EFFORT)['hardware']) {
    this.#device = device;
    this.#compiler = new KernelCompiler(device);
    this.#effort = effort;
  }

  /**
   * One part of it, whose memory is given back afterwards. What the device refuses is no work at all, and would be measured as
   * very fast. @throws EngineError no_device with what it refused
   */
  async part<T>(what: string, measure: () => Promise<T>): Promise<T> {
    const scopes = ['validation', 'out-of-memory', 'internal'] as const;
    for (const scope of scopes) this.#device.pushErrorScope(scope);
    const outcome = await measure().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const refused = [];
    for (const _ of scopes) refused.push((await this.#device.popErrorScope())?.message);
    for (const buffer of this.#buffers.splice(0)) buffer.destroy();
    const [why] = refused.filter((message) => message !== undefined);
    if (why !== undefined) throw new EngineError('no_device', `its ${what} cannot be measured: ${why.split('\n')[0]}`);
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  async memory(): Promise<{ read: Ceiling; copy: Ceiling; bytes: number }> {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.#device.limits;
    const bytes = Math.min(this.#effort.bytes, maxStorageBufferBindingSize, maxBufferSize) & ~255;
    const [from, to, sink] = [this.#buffer(bytes), this.#buffer(bytes), this.#buffer(16)];
    const grid: Grid = [this.#effort.groups, 1, 1];
    const reads = await this.#call(ceilingRead, { THREADS }, from, sink);
    const copies = await this.#call(ceilingCopy, { THREADS }, from, to);
    // Memory that was never written may not be there, or all be one page: what is read must have been.
    const fill = await this.#call(ceilingCopy, { THREADS }, to, from);
    await this.#run([[fill, grid]], 1);
    return {
      bytes,
      read: await this.#rate([reads, grid], bytes),
      copy: await this.#rate([copies, grid], 2 * bytes),
    };
  }

  async fma(): Promise<Ceiling> {
    const { groups, rounds } = this.#effort;
    const call = await this.#call(
      ceilingFma,
      { THREADS, ROUNDS: rounds },
      this.#filled(Float32Array.of(0.5, 0.25)),
      this.#buffer(4 * groups * THREADS),
    );
    return this.#rate([call, [groups, 1, 1]], groups * THREADS * rounds * FMA_OPERATIONS);
  }

  async matrix(size: { m: number; n: number; k: number }, widest: number): Promise<Ceilings['matrix']> {
    const { rounds } = this.#effort;
    const { m, n, k } = size;
    const threads = widest * Math.max(1, Math.floor(128 / widest));
    const { maxStorageBufferBindingSize, maxBufferSize } = this.#device.limits;
    const room = Math.min(maxStorageBufferBindingSize, maxBufferSize, 2 ** 30);
    const groups = Math.min(this.#effort.groups, Math.floor(room / (threads * MATRIX_PRODUCTS * m * n)));
    // At least four lanes in any subgroup there is; what the narrower ones would need more is allowed for.
    const results = this.#buffer(groups * threads * MATRIX_PRODUCTS * m * n);
    const operand = () => this.#filled(new Uint16Array(Math.max(m, n) * k).fill(0x2e66)); // 0.1
    const kernel = ceilingMatrix(size);
    const call = await this.#call(kernel, { THREADS: threads, ROUNDS: rounds }, operand(), operand(), results);
    // A subgroup may be narrower than the widest there is, and its work is counted as if it were not: a floor.
    const products = groups * (threads / widest) * rounds * MATRIX_PRODUCTS;
    return { ...(await this.#rate([call, [groups, 1, 1]], products * 2 * m * n * k)), ...size };
  }

  async costs(): Promise<Pick<Ceilings, 'dispatchUs' | 'encodeUs' | 'submitUs' | 'mapUs'>> {
    const many = 400;
    const [a, b] = [this.#buffer(1024), this.#buffer(1024)];
    const there = await this.#call(ceilingCopy, { THREADS: 64 }, a, b);
    const back = await this.#call(ceilingCopy, { THREADS: 64 }, b, a);
    const grid: Grid = [1, 1, 1];
    const chain = Array.from({ length: many }, (_, i): [Call, Grid] => [i % 2 === 0 ? there : back, grid]);
    const whole: number[] = [];
    const encode: number[] = [];
    const submit: number[] = [];
    for (let i = 0; i < BATCHES + 1; i++) {
      const began = performance.now();
      const commands = this.#record(chain, 1);
      encode.push(((performance.now() - began) * 1000) / many);
      const sent = performance.now();
      this.#device.queue.submit([commands]);
      await this.#device.queue.onSubmittedWorkDone();
      whole.push(((performance.now() - sent) * 1000) / many);
      const empty = this.#device.createCommandEncoder().finish();
      const at = performance.now();
      this.#device.queue.submit([empty]);
      submit.push((performance.now() - at) * 1000);
      await this.#device.queue.onSubmittedWorkDone();
    }
    return {
      dispatchUs: median(whole.slice(1)),
      encodeUs: median(encode.slice(1)),
      submitUs: median(submit.slice(1)),
      mapUs: await this.#mapping(a),
    };
  }

  async upload(): Promise<Ceiling> {
    const slice = new Uint8Array(2 ** 22);
    const into = this.#buffer(slice.length);
    const bytes = Math.min(this.#effort.bytes, 2 ** 28);
    const rates: number[] = [];
    for (let i = 0; i < BATCHES; i++) {
      const began = performance.now();
      for (let sent = 0; sent < bytes; sent += slice.length) this.#device.queue.writeBuffer(into, 0, slice);
      await this.#device.queue.onSubmittedWorkDone();
      rates.push(bytes / ((performance.now() - began) / 1000));
    }
    return ceilingOf(rates);
  }

  async #mapping(from: GPUBuffer): Promise<{ p50: number; p99: number }> {
    const to = this.#device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    this.#buffers.push(to);
    const times: number[] = [];
    for (let i = 0; i < this.#effort.maps; i++) {
      const began = performance.now();
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(from, 0, to, 0, 4);
      this.#device.queue.submit([encoder.finish()]);
      await to.mapAsync(GPUMapMode.READ, 0, 4);
      to.unmap();
      times.push((performance.now() - began) * 1000);
    }
    times.sort((x, y) => x - y);
    const at = (share: number) => times[Math.ceil(share * times.length) - 1] as number;
    return { p50: at(0.5), p99: at(0.99) };
  }

  /** Work a second of a dispatch, repeated so often that a batch takes long enough. */
  async #rate(work: [Call, Grid], amount: number): Promise<Ceiling> {
    await this.#run([work], 1); // drivers compile at first use
    const once = await this.#run([work], 1);
    const times = Math.max(1, Math.round(this.#effort.batchMs / once));
    const rates: number[] = [];
    for (let i = 0; i < BATCHES; i++) rates.push((times * amount) / ((await this.#run([work], times)) / 1000));
    return ceilingOf(rates);
  }

  /** @returns ms from submission until it is done */
  async #run(work: [Call, Grid][], times: number): Promise<number> {
    const commands = this.#record(work, times);
    const began = performance.now();
    this.#device.queue.submit([commands]);
    await this.#device.queue.onSubmittedWorkDone();
    return performance.now() - began;
  }

  #record(work: [Call, Grid][], times: number): GPUCommandBuffer {
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++) for (const [call, grid] of work) dispatch(pass, call, grid);
    pass.end();
    return encoder.finish();
  }

  async #call(kernel: Kernel, constants: Record<string, number>, ...bound: GPUBuffer[]): Promise<Call> {
    const compiled: CompiledKernel = await this.#compiler.compile(kernel, constants);
    return { pipeline: compiled.pipeline, group: compiled.bind(...bound) };
  }

  #buffer(size: number): GPUBuffer {
    const buffer = this.#device.createBuffer({ size: Math.max(16, size), usage: USAGE() });
    this.#buffers.push(buffer);
    return buffer;
  }

  #filled(data: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.#buffer(data.byteLength);
    this.#device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;
const ceilingOf = (rates: readonly number[]): Ceiling => ({ best: Math.max(...rates), median: median(rates) });
