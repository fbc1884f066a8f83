/**
 * Device memory, taken within out-of-memory scopes: what does not fit is noticed and given back before anything is sent or
 * dispatched into it, and told as too big with the plan's arithmetic.
 */
import type { EngineConfig } from '../config.ts';
import type { OpenDevice } from '../device/dawn.ts';
import { EngineError } from '../errors.ts';
import type { Geometry } from '../models/geometry.ts';
import { allocateBuffers, type Buffers } from './buffers.ts';
import { type DeviceLimits, type MemoryPlan, planMemory } from './memory-plan.ts';
import type { Norms } from './weights.ts';

export const limitsOf = ({ device, software }: OpenDevice): DeviceLimits => ({
  software,
  maxBufferSize: device.limits.maxBufferSize,
  maxStorageBufferBindingSize: device.limits.maxStorageBufferBindingSize,
});

/**
 * What `make` allocated.
 * @param what to be named when there is no room, as in "the device has no memory for the KV cache"
 * @throws EngineError too_big
 */
export async function allocateWithin<T extends object>(
  device: GPUDevice,
  what: string,
  plan: MemoryPlan,
  make: () => T,
): Promise<T> {
  const tried = await withinMemory(device, make);
  if ('failed' in tried) throw outOfMemory(what, tried.failed, plan);
  return tried.made;
}

/**
 * Scratch and KV cache, the cache halved until the device has room for it, down to the plan's floor.
 * @throws EngineError too_big
 */
export async function allocateRest(
  open: OpenDevice,
  geometry: Geometry,
  config: EngineConfig,
  planned: MemoryPlan,
  { ranks, norms, partialBytes }: { ranks: number; norms: Norms; partialBytes: number },
): Promise<{ memory: MemoryPlan; buffers: Buffers }> {
  let memory = planned;
  for (let shrinkKv = 0.5; ; shrinkKv /= 2) {
    const tried = await withinMemory(open.device, () => allocateBuffers(open.device, geometry, memory, ranks));
    if ('made' in tried) return { memory, buffers: tried.made };
    const smaller = planMemory(geometry, config, limitsOf(open), { norms, shrinkKv, partialBytes });
    if (smaller.kvBlocks === memory.kvBlocks) throw outOfMemory('the KV cache', tried.failed, memory);
    memory = smaller;
    // What was just destroyed is free only when the device has come to it.
    await open.device.queue.onSubmittedWorkDone();
  }
}

const outOfMemory = (what: string, why: string, plan: MemoryPlan): EngineError =>
  new EngineError('too_big', `the device has no memory for ${what}: ${why}\n  ${plan.lines.join('\n  ')}`);

/** What `make` allocated, or the device's words for having no memory for it. */
async function withinMemory<T extends object>(
  device: GPUDevice,
  make: () => T,
): Promise<{ made: T } | { failed: string }> {
  device.pushErrorScope('out-of-memory');
  const made = make();
  const failed = await device.popErrorScope();
  if (!failed) return { made };
  destroyAll(made);
  return { failed: failed.message.split('\n')[0] ?? 'out of memory' };
}

function destroyAll(value: unknown): void {
  if (value instanceof GPUBuffer) value.destroy();
  else if (Array.isArray(value)) value.forEach(destroyAll);
  else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    Object.values(value).forEach(destroyAll);
  }
}
