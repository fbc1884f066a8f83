/** ids = next tokens: see sample.wgsl. */
import type { DeviceFacts } from '../device/facts.ts';
import { HEADER, SAMPLE_WORDS } from '../scheduler/step-data.ts';
import { defineKernel, type Grid, type Kernel } from './kernel.ts';

const bindings = ['read', 'read', 'write'] as const;
/** step, logits -> ids */
export const sample = defineKernel('sample', bindings, { parts: ['lowbias32'], fixed: { LOADS: 1, CANDIDATES: 0 } });
/** The same for GPUs, each lane with several loads on their way, and a search that soon looks at few logits. */
export const sampleWide = defineKernel('sample', bindings, {
  parts: ['lowbias32'],
  fixed: { LOADS: 4, CANDIDATES: 2048 },
});

const FEW_LANES = 64;
const MANY_LANES = 1024;
/** Workgroup memory of sample.wgsl: for each lane, and its candidates and scalars. */
const LANE_BYTES = 12;
const SHARED_BYTES = 8_192 + 256;

/**
 * What suits a device. A GPU does a row in one workgroup, so a vocabulary of 128,256 needs as many lanes as that can have; a
 * processor does a workgroup's lanes one after the other.
 */
export function sampler({
  software,
  maxInvocations,
  maxWorkgroupBytes,
}: Pick<DeviceFacts, 'software' | 'maxInvocations' | 'maxWorkgroupBytes'>): {
  kernel: Kernel;
  lanes: number;
} {
  if (software) return { kernel: sample, lanes: FEW_LANES };
  const most = Math.min(MANY_LANES, maxInvocations, (maxWorkgroupBytes - SHARED_BYTES) / LANE_BYTES);
  return { kernel: sampleWide, lanes: 2 ** Math.floor(Math.log2(most)) };
}

/** @param lanes of a row, a power of two */
export const sampleConstants = (vocab: number, lanes: number = FEW_LANES) => ({
  VOCAB: vocab,
  SAMPLES_AT: HEADER.SAMPLES_AT,
  SAMPLE_WORDS,
  END_IDS: HEADER.END_IDS,
  LANES: lanes,
});
export const sampleGrid = (samples: number): Grid => [samples, 1, 1];
