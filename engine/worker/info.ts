/** What the engine says of itself once it is ready: the settings as they came out, the device, the model. */
import type { EngineConfig } from '../config.ts';
import type { EngineInfo } from '../core.ts';
import type { OpenDevice } from '../device/dawn.ts';
import { KV_BLOCK } from '../transformer/memory-plan.ts';
import type { Model } from '../transformer/model.ts';

export function infoOf(
  open: OpenDevice,
  config: EngineConfig,
  { geometry, memory, merged, variants }: Model,
): EngineInfo {
  const { name, vendor, driver, software, features, candidate, facts } = open;
  return {
    geometry,
    weights: config.weights,
    device: { candidate, name, vendor, driver, software, features },
    maxModelLen: memory.maxModelLen,
    maxNumSeqs: memory.maxNumSeqs,
    maxNumBatchedTokens: memory.maxNumBatchedTokens,
    maxGpuLoras: config.maxGpuLoras,
    maxCpuLoras: config.maxCpuLoras,
    maxLoraRank: config.maxLoraRank,
    merged,
    kvBlockSize: KV_BLOCK,
    kvBlocks: memory.kvBlocks,
    batchInvariant: config.batchInvariant,
    profile: config.profile && facts.timestamps,
    variants: [...variants],
    memoryPlan: memory.lines,
  };
}
