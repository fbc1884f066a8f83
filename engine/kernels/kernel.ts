/**
 * What a kernel is to the rest of the engine: a .wgsl file, an entry point and what each binding is. compile() makes a
 * pipeline of it for a set of overrides; a mistake in the shader or in the overrides is thrown there, with the kernel's name.
 *
 * What several kernels share stands in parts/, and each names the parts that go before its own text; WGSL itself has no
 * includes. Extensions that it needs are named here too, not in the file: they must stand before everything else. `fixed`
 * are constants where WGSL takes no override, such as the sizes of a subgroup matrix.
 *
 * Bindings are bound as they are declared here: inputs `read`, so that Dawn sets no barrier between kernels that only read.
 */
import { readFileSync } from 'node:fs';
import { EngineError } from '../errors.ts';

export type Access = 'read' | 'write' | 'uniform';

export interface Kernel {
  /** File name without .wgsl. */
  readonly name: string;
  readonly entry: string;
  readonly bindings: readonly Access[];
  /** Files of parts/ without .wgsl, in this order before the kernel's own. */
  readonly parts: readonly string[];
  /** WGSL extensions, such as f16 or subgroups: a device without their features cannot compile it. */
  readonly enable: readonly string[];
  readonly fixed: Readonly<Record<string, number>>;
}

export const defineKernel = (
  name: string,
  bindings: readonly Access[],
  options: Partial<Pick<Kernel, 'entry' | 'parts' | 'enable' | 'fixed'>> = {},
): Kernel => ({ name, entry: 'main', parts: [], enable: [], fixed: {}, ...options, bindings });

export type Grid = readonly [x: number, y: number, z: number];

export type Bound = GPUBuffer | GPUBufferBinding;

export interface CompiledKernel {
  readonly kernel: Kernel;
  readonly pipeline: GPUComputePipeline;
  /** Buffers in the order of the kernel's bindings. */
  bind(...buffers: Bound[]): GPUBindGroup;
}

/** A pipeline with its buffers: all a step needs but the grid. */
export interface Call {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
}

/** A kernel with its buffers, in the order of its bindings. */
export const call = (kernel: CompiledKernel, ...bound: GPUBuffer[]): Call => ({
  pipeline: kernel.pipeline,
  group: kernel.bind(...bound),
});

/** What dispatches are recorded into: a compute pass, or one that times them (device/timed-pass.ts). */
export interface Pass {
  setPipeline(pipeline: GPUComputePipeline): void;
  setBindGroup(index: number, group: GPUBindGroup): void;
  dispatchWorkgroups(x: number, y?: number, z?: number): void;
  /** Told, by whoever records, which part of a step follows. */
  stage?(name: string): void;
}

export function dispatch(pass: Pass, call: Call, grid: Grid): void {
  pass.setPipeline(call.pipeline);
  pass.setBindGroup(0, call.group);
  pass.dispatchWorkgroups(...grid);
}

const fileOf = (name: string): string => readFileSync(new URL(`./${name}.wgsl`, import.meta.url), 'utf8');

/** Equal for kernels of the same text. */
const sourceKey = ({ name, parts, enable, fixed }: Kernel): string => JSON.stringify([name, parts, enable, fixed]);

/** A kernel's whole text. */
export function sourceOf({ name, parts, enable, fixed }: Kernel): string {
  const constants = Object.entries(fixed).map(([key, value]) => `const ${key} = ${value}u;\n`);
  return [
    ...enable.map((extension) => `enable ${extension};\n`),
    // Tint cannot see that these are reached by whole subgroups, which the kernels see to by their layout.
    ...(enable.includes('subgroups') ? ['diagnostic(off, subgroup_uniformity);\n'] : []),
    ...(enable.includes('chromium_experimental_subgroup_matrix')
      ? ['diagnostic(off, chromium.subgroup_matrix_uniformity);\n']
      : []),
    ...constants,
    ...parts.map((part) => fileOf(`parts/${part}`)),
    fileOf(name),
  ].join('');
}

export class KernelCompiler {
  readonly device: GPUDevice;
  private readonly modules = new Map<string, Promise<GPUShaderModule>>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  /** Drivers take seconds over a kernel when it first runs; the same constants must not cost that twice. */
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** @throws EngineError bug, naming the kernel, with the compiler's own words */
  async compile(
    kernel: Kernel,
    constants: Record<string, number>,
    options: { dynamicOffset?: boolean } = {},
  ): Promise<CompiledKernel> {
    const dynamicOffset = options.dynamicOffset ?? false;
    const layout = this.layout(kernel, dynamicOffset);
    const key = JSON.stringify([sourceKey(kernel), kernel.entry, dynamicOffset, constants]);
    const making = this.pipelines.get(key) ?? this.makePipeline(kernel, constants, layout);
    this.pipelines.set(key, making);
    const pipeline = await making;
    const bind = (...buffers: Bound[]): GPUBindGroup =>
      this.device.createBindGroup({
        label: kernel.name,
        layout,
        entries: buffers.map((bound, binding) => ({
          binding,
          resource: 'buffer' in bound ? bound : { buffer: bound },
        })),
      });
    return { kernel, pipeline, bind };
  }

  private async makePipeline(
    kernel: Kernel,
    constants: Record<string, number>,
    layout: GPUBindGroupLayout,
  ): Promise<GPUComputePipeline> {
    const { name, entry } = kernel;
    const module = await this.module(kernel);
    return this.device
      .createComputePipelineAsync({
        label: name,
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: entry, constants },
      })
      .catch((cause: unknown) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new EngineError('bug', `kernel ${name} (${entry}) with ${JSON.stringify(constants)}: ${why}`);
      });
  }

  private module(kernel: Kernel): Promise<GPUShaderModule> {
    const key = sourceKey(kernel);
    let made = this.modules.get(key);
    if (!made) {
      made = this.makeModule(kernel);
      this.modules.set(key, made);
    }
    return made;
  }

  private async makeModule(kernel: Kernel): Promise<GPUShaderModule> {
    const { name } = kernel;
    this.device.pushErrorScope('validation');
    const module = this.device.createShaderModule({ label: name, code: sourceOf(kernel) });
    const problem = await this.device.popErrorScope();
    if (problem) throw new EngineError('bug', `kernel ${name} does not compile: ${problem.message}`);
    return module;
  }

  private layout(kernel: Kernel, dynamicOffset: boolean): GPUBindGroupLayout {
    const key = `${kernel.bindings.join(',')}${dynamicOffset}`;
    let layout = this.layouts.get(key);
    if (!layout) {
      const type = { read: 'read-only-storage', write: 'storage', uniform: 'uniform' } as const;
      layout = this.device.createBindGroupLayout({
        entries: kernel.bindings.map((access, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: type[access], hasDynamicOffset: dynamicOffset && access === 'uniform' },
        })),
      });
      this.layouts.set(key, layout);
    }
    return layout;
  }
}
