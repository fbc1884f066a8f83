/**
 * What kernels are chosen by: how wide the device is and what it can do beyond WebGPU's minimum. Read once, when it is opened.
 */

export interface DeviceFacts {
  /** It computes on the processor: few threads, no coalescing, dispatches cost little beside the work. */
  software: boolean;
  /** Lanes of a subgroup; null without the feature. */
  subgroups: { min: number; max: number } | null;
  /** The width of a subgroup can be asked for. */
  subgroupSizeControl: boolean;
  /** f16 in shaders and buffers. */
  f16: boolean;
  timestamps: boolean;
  /** Tensor cores: a subgroup's product of f16 matrices of this size, summed in f32; null where there is none. */
  matrix: { m: number; n: number; k: number } | null;
  maxWorkgroupBytes: number;
  maxInvocations: number;
}

/** @param info as the adapter tells of itself; @param device after it was opened, which has what was asked for */
export function factsOf(info: GPUAdapterInfo, device: GPUDevice, software: boolean): DeviceFacts {
  const has = (feature: string) => device.features.has(feature as GPUFeatureName);
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  const subgroups = has('subgroups') && min !== undefined && max !== undefined ? { min, max } : null;
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.limits;
  return {
    software,
    subgroups,
    subgroupSizeControl: has('subgroup-size-control'),
    f16: has('shader-f16'),
    timestamps: has('timestamp-query'),
    matrix: has('chromium-experimental-subgroup-matrix') && has('shader-f16') ? matrixOf(info) : null,
    maxWorkgroupBytes: maxComputeWorkgroupStorageSize,
    maxInvocations: maxComputeInvocationsPerWorkgroup,
  };
}

/** As Dawn tells it (docs/dawn/features/subgroup_matrix.md); no part of WebGPU's own types yet. */
interface MatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** Of the sizes that sum f16 products in f32, the largest: it moves the least for each product. */
function matrixOf(info: GPUAdapterInfo): DeviceFacts['matrix'] {
  const configs = [...((info as { subgroupMatrixConfigs?: Iterable<MatrixConfig> }).subgroupMatrixConfigs ?? [])]
    .filter(({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32')
    .map(({ M: m, N: n, K: k }) => ({ m, n, k }))
    .sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k);
  return configs[0] ?? null;
}
