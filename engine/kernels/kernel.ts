/**
 * What a kernel is to the rest of the engine: a .wgsl file, an entry point and what each binding is. compile() makes a
 * pipeline of it for a set of overrides; a mistake in the shader or in the overrides is thrown there, with the kernel's name.
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
}

export const defineKernel = (name: string, bindings: readonly Access[], entry = 'main'): Kernel => ({
  name,
  entry,
  bindings,
});

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

export function dispatch(pass: GPUComputePassEncoder, call: Call, grid: Grid): void {
  pass.setPipeline(call.pipeline);
  pass.setBindGroup(0, call.group);
  pass.dispatchWorkgroups(...grid);
}

export const sourceOf = (name: string): string => readFileSync(new URL(`./${name}.wgsl`, import.meta.url), 'utf8');

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
    const key = JSON.stringify([kernel.name, kernel.entry, dynamicOffset, constants]);
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
    { name, entry }: Kernel,
    constants: Record<string, number>,
    layout: GPUBindGroupLayout,
  ): Promise<GPUComputePipeline> {
    const module = await this.module(name);
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

  private module(name: string): Promise<GPUShaderModule> {
    let made = this.modules.get(name);
    if (!made) {
      made = this.makeModule(name);
      this.modules.set(name, made);
    }
    return made;
  }

  private async makeModule(name: string): Promise<GPUShaderModule> {
    this.device.pushErrorScope('validation');
    const module = this.device.createShaderModule({ label: name, code: sourceOf(name) });
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
