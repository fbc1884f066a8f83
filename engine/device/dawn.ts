/**
 * Opens Dawn (the npm package `webgpu`) for one candidate and hands out a device with everything its adapter offers.
 *
 * In: a candidate. Out: an OpenDevice, or an EngineError that says what is missing. Must run in a process that was started
 * with the candidate's environment (candidates.ts): the loader reads LD_LIBRARY_PATH when the process starts.
 */
import { EngineError } from '../errors.ts';
import type { Candidate } from './candidates.ts';
import { type DeviceFacts, factsOf } from './facts.ts';

export interface OpenDevice {
  device: GPUDevice;
  candidate: Candidate;
  name: string;
  vendor: string;
  /** The family of chips, as the driver calls it; may be empty. */
  architecture: string;
  driver: string;
  software: boolean;
  features: string[];
  /** What kernels are chosen by. */
  facts: DeviceFacts;
  /** queue.submit() returns only when the work is done (llvmpipe through OpenGL ES), so nothing can run beside it. */
  submitBlocks: boolean;
  /** Resolves with a sentence when the device is lost for any reason but destroy(). */
  lost: Promise<string>;
}

/** Features asked for where the adapter has them; kernels choose their variants by what came. */
const WANTED: GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];
const WANTED_EXPERIMENTAL = [
  'subgroup-size-control',
  'chromium-experimental-subgroup-matrix',
] as unknown as GPUFeatureName[];

const ALWAYS_ON = ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia', 'use_vulkan_memory_model'];
/** Off while `validate` is asked for: with these, an index out of range reads or writes where it should not. */
const FAST_ON = ['disable_robustness', 'disable_workgroup_init', 'disable_polyfills_on_integer_div_and_mod'];

/**
 * While work is in flight Dawn polls by setImmediate, which takes a whole core. A software device needs that core for the
 * work itself, so polling is slowed to once a millisecond there (measured: 1.6x faster on two cores). To be called before
 * `webgpu` is first imported.
 */
export function pollSlowly(): void {
  const slow = (callback: (...args: unknown[]) => void, ...args: unknown[]) => setTimeout(callback, 1, ...args);
  globalThis.setImmediate = slow as unknown as typeof globalThis.setImmediate;
}

/** Keeps the object from create() alive: the process crashes when it is collected while its device lives. */
const kept: unknown[] = [];

export async function openDevice(candidate: Candidate, options: { validate: boolean }): Promise<OpenDevice> {
  if (candidate !== 'gpu') pollSlowly();
  const { create, globals } = await importWebgpu();
  Object.assign(globalThis, globals);
  const on = options.validate ? ALWAYS_ON : [...ALWAYS_ON, ...FAST_ON];
  const flags = [`enable-dawn-features=${on.join(',')}`, 'disable-dawn-features=timestamp_quantization'];
  if (candidate === 'llvmpipe') flags.push('backend=opengles');
  const gpu = create(flags);
  kept.push(gpu);
  const adapter = await gpu.requestAdapter(
    candidate === 'llvmpipe' ? { featureLevel: 'compatibility' } : { powerPreference: 'high-performance' },
  );
  if (!adapter) throw new EngineError('no_device', `no WebGPU adapter on ${candidate}`);
  const { info } = adapter;
  const software = /swiftshader|llvmpipe|lavapipe|software/i.test(
    `${info.vendor} ${info.architecture} ${info.device} ${info.description}`,
  );
  if (candidate === 'gpu' && software) {
    throw new EngineError('no_device', `the default adapter is a software one (${info.device || info.description})`);
  }
  const features = [...WANTED, ...WANTED_EXPERIMENTAL].filter((f) => adapter.features.has(f));
  const device = await adapter.requestDevice({ requiredFeatures: features, requiredLimits: offered(adapter.limits) });
  kept.push(device);
  const lost = device.lost.then((why) =>
    why.reason === 'destroyed' ? new Promise<string>(() => {}) : `the device was lost (${why.reason}): ${why.message}`,
  );
  return {
    device,
    candidate,
    name: (info.device || info.description || candidate).replace(/-+$/, ''),
    vendor: info.vendor,
    architecture: info.architecture,
    driver: info.description,
    software: candidate !== 'gpu',
    features,
    facts: factsOf(info, device, candidate !== 'gpu'),
    submitBlocks: candidate === 'llvmpipe',
    lost,
  };
}

async function importWebgpu(): Promise<typeof import('webgpu')> {
  try {
    return await import('webgpu');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new EngineError('no_device', `the package "webgpu" cannot be loaded: ${why}`, {
      hint: 'its Linux binary needs glibc 2.34 and GLIBCXX_3.4.30 (Debian 12, Ubuntu 22.04 and newer); endpoints can be measured without it: bench SCENARIO --endpoint URL',
    });
  }
}

/** Every limit as the adapter reports it: what is not asked for stays at WebGPU's small defaults. */
function offered(limits: GPUSupportedLimits): Record<string, number> {
  const names = [
    'maxBufferSize',
    'maxStorageBufferBindingSize',
    'maxComputeWorkgroupStorageSize',
    'maxComputeInvocationsPerWorkgroup',
    'maxComputeWorkgroupSizeX',
    'maxStorageBuffersPerShaderStage',
  ] as const;
  return Object.fromEntries(names.map((name) => [name, limits[name]]));
}
