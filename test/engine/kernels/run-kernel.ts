/**
 * Runs one kernel once, as the engine compiles and binds it. In: constants, inputs and the sizes of the outputs in the order of
 * the kernel's bindings, and a grid. Out: the outputs' words.
 *
 * Outputs hold NaN before the run, so that what a kernel leaves out shows, and canary words behind, so that what it writes past
 * the end shows. Any validation error is thrown with the kernel's name.
 */
import { type CompiledKernel, type Grid, type Kernel, KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { testDevice } from '../../support/device.ts';

/** NaN as an f32 and as a pair of f16. */
export const POISON = 0x7fff7fff;
const CANARY = 0x5eedc0de;
const CANARY_WORDS = 1024;

export type Input = Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** An output: poisoned unless it starts as something else. */
export interface Output {
  words: number;
  initial?: Uint32Array<ArrayBuffer>;
}

const compilers = new WeakMap<GPUDevice, { compiler: KernelCompiler; made: Map<string, Promise<CompiledKernel>> }>();

/** Compiled once for each kernel and set of constants: a pipeline takes about 20 ms on a software device. */
export function compiled(
  device: GPUDevice,
  kernel: Kernel,
  constants: Record<string, number>,
): Promise<CompiledKernel> {
  let cache = compilers.get(device);
  if (!cache) {
    cache = { compiler: new KernelCompiler(device), made: new Map() };
    compilers.set(device, cache);
  }
  const key = `${kernel.name} ${kernel.entry} ${JSON.stringify([kernel.fixed, constants])}`;
  let made = cache.made.get(key);
  if (!made) {
    made = cache.compiler.compile(kernel, constants);
    cache.made.set(key, made);
  }
  return made;
}

export async function runKernel(
  kernel: Kernel,
  constants: Record<string, number>,
  bound: readonly (Input | Output)[],
  grid: Grid,
): Promise<Uint32Array<ArrayBuffer>[]> {
  const { device } = await testDevice();
  const { pipeline, bind } = await compiled(device, kernel, constants);
  device.pushErrorScope('validation');
  const outputs: { output: Output; buffer: GPUBuffer }[] = [];
  const buffers = bound.map((one) => {
    if ('BYTES_PER_ELEMENT' in one) return upload(device, one);
    const words = new Uint32Array(one.words + CANARY_WORDS).fill(CANARY);
    words.set(one.initial ?? new Uint32Array(one.words).fill(POISON));
    const buffer = upload(device, words);
    outputs.push({ output: one, buffer });
    return buffer;
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bind(...buffers));
  pass.dispatchWorkgroups(...grid);
  pass.end();
  const copies = outputs.map(({ buffer }) => {
    const copy = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    return copy;
  });
  device.queue.submit([encoder.finish()]);
  const problem = await device.popErrorScope();
  if (problem) throw new Error(`${kernel.name}: ${problem.message}`);
  await Promise.all(copies.map((copy) => copy.mapAsync(GPUMapMode.READ)));
  const results = copies.map((copy, i) => {
    const words = new Uint32Array(copy.getMappedRange().slice(0));
    copy.destroy();
    const { output } = outputs[i] as (typeof outputs)[number];
    const hurt = words.subarray(output.words).findIndex((word) => word !== CANARY);
    if (hurt >= 0) throw new Error(`${kernel.name} wrote ${hurt} words past the end of output ${i}`);
    return words.slice(0, output.words);
  });
  for (const buffer of buffers) buffer.destroy();
  return results;
}

function upload(device: GPUDevice, data: Input): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = device.createBuffer({ size: Math.max(16, data.byteLength), usage });
  device.queue.writeBuffer(buffer, 0, data);
  return buffer;
}

export const asFloats = (words: Uint32Array<ArrayBuffer>): Float32Array<ArrayBuffer> => new Float32Array(words.buffer);
