/**
 * Counts what is created on a device, by standing before the calls that do it: that the step loop creates nothing is then
 * seen and not believed. To be called once for a device, before anything is made on it.
 */
export interface Creations {
  readonly pipelines: number;
  readonly buffers: number;
  readonly bindGroups: number;
}

const COUNTED_AS = {
  createComputePipeline: 'pipelines',
  createComputePipelineAsync: 'pipelines',
  createBuffer: 'buffers',
  createBindGroup: 'bindGroups',
} as const;

export function countCreations(device: GPUDevice): Creations {
  const made = { pipelines: 0, buffers: 0, bindGroups: 0 };
  for (const name of Object.keys(COUNTED_AS) as (keyof typeof COUNTED_AS)[]) {
    const create = device[name].bind(device) as (descriptor: unknown) => unknown;
    const counting = (descriptor: unknown): unknown => {
      made[COUNTED_AS[name]]++;
      return create(descriptor);
    };
    Object.defineProperty(device, name, { value: counting });
  }
  return made;
}
