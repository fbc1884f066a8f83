/** The check of the device's arithmetic: a device that is right passes it, and one that gets any one kernel wrong does not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkKernels } from '../../../engine/device/known-answers.ts';
import { EngineError } from '../../../engine/errors.ts';
import { type CompiledKernel, defineKernel, type Kernel, KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { testDevice } from '../../support/device.ts';

const FOLDER = fileURLToPath(new URL('../../../engine/kernels/', import.meta.url));

let folder: string;
let idle: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lorabench-idle-'));
  writeFileSync(join(folder, 'idle.wgsl'), '@compute @workgroup_size(1) fn main() {}\n');
  idle = relative(FOLDER, join(folder, 'idle'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Puts a kernel that does nothing where `isWrong` says, as far as the rest can see compiled like any other. */
class FaultyCompiler extends KernelCompiler {
  readonly compiled: string[] = [];
  private readonly isWrong: (name: string, constants: Record<string, number>) => boolean;

  constructor(device: GPUDevice, isWrong: (name: string, constants: Record<string, number>) => boolean) {
    super(device);
    this.isWrong = isWrong;
  }

  override compile(kernel: Kernel, constants: Record<string, number>): Promise<CompiledKernel> {
    this.compiled.push(`${kernel.name} ${JSON.stringify(constants)}`);
    if (!this.isWrong(kernel.name, constants)) return super.compile(kernel, constants);
    return super.compile(defineKernel(idle, kernel.bindings), {});
  }
}

it.each([true, false])('passes where the kernels are right, in the tiles of software %s', async (software) => {
  const { device } = await testDevice();
  await checkKernels(new KernelCompiler(device), software);
});

it.each(['embed', 'rmsnorm', 'shrink', 'matmul', 'rope-kv', 'attention', 'sample'])(
  'fails where %s is wrong, and names it',
  async (name) => {
    const { device } = await testDevice();
    const error = await checkKernels(new FaultyCompiler(device, (one) => one === name), true).then(
      () => new Error('it passed'),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EngineError);
    expect(error).toMatchObject({ code: 'no_device', message: expect.stringContaining(`(kernel ${name} with `) });
  },
);

it('compiles and checks the product with and without adapters, split and whole, with each finish', async () => {
  const { device } = await testDevice();
  const variants: ((constants: Record<string, number>) => boolean)[] = [
    ({ LORA }) => LORA === 1,
    ({ LORA, SWIGLU }) => LORA === 0 && SWIGLU === 0,
    ({ RESIDUAL }) => RESIDUAL === 1,
    ({ SWIGLU }) => SWIGLU === 1,
    ({ TM }) => TM === 1,
    ({ TM }) => TM === 8,
  ];
  for (const software of [true, false]) {
    const split = ({ KSPLIT }: Record<string, number>) => (KSPLIT === 1) === software;
    for (const variant of [...variants, split]) {
      const compiler = new FaultyCompiler(device, (name, constants) => name === 'matmul' && variant(constants));
      await expect(checkKernels(compiler, software), String(variant)).rejects.toThrow('kernel matmul with');
    }
  }
});
