/**
 * A real engine core for tests: the device thread with a small model, through the same client that the server uses. The
 * thread runs from dist/, so the build must be fresh. A test closes what it starts; the thread itself ends with the process.
 */
import type { EngineConfig } from '../../engine/config.ts';
import type { EngineCore } from '../../engine/core.ts';
import { startCore } from '../../engine/worker/client.ts';
import { chosenDevice } from './device.ts';

/** @throws EngineError as startCore does: too_big, usage, no_device */
export function startTestCore(overrides: Partial<EngineConfig> = {}): Promise<EngineCore> {
  const device = chosenDevice();
  return startCore(
    {
      model: 'llama-3.2-1b@1/8',
      servedModelName: null,
      weights: 'f16',
      seed: 20,
      device: device.candidate,
      maxModelLen: 256,
      maxNumSeqs: 8,
      maxNumBatchedTokens: 128,
      maxGpuLoras: 4,
      maxCpuLoras: 16,
      maxLoraRank: 32,
      gpuMemory: null,
      batchInvariant: true,
      merge: null,
      kernels: 'portable',
      profile: false,
      validate: true,
      ...overrides,
    },
    device,
  );
}
