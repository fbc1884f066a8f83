/**
 * Every kernel a model of real size compiles, with that model's own constants, on Dawn's null backend: it runs nothing, but it
 * compiles and validates for real, and its limits are WebGPU's smallest (8 storage buffers, 16 KiB of workgroup memory, 256
 * invocations), so what passes here is within the limits of every device.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { type DeviceFacts, factsOf } from '../../../engine/device/facts.ts';
import { attentionGrid, ropeKvGrid } from '../../../engine/kernels/attention.ts';
import { embedGrid } from '../../../engine/kernels/embed.ts';
import { foldColumns, foldGrid, foldMerge } from '../../../engine/kernels/fold.ts';
import { type CompiledKernel, type Grid, type Kernel, KernelCompiler } from '../../../engine/kernels/kernel.ts';
import {
  type MatmulShape,
  matmul,
  matmulConstants,
  matmulGrid,
  matmulTile,
  padColumns,
} from '../../../engine/kernels/matmul.ts';
import { RandomWeights } from '../../../engine/kernels/random-weights.ts';
import { shrinkGrid } from '../../../engine/kernels/shrink.ts';
import { FoldGroup } from '../../../engine/lora/fold-group.ts';
import type { LoraPools } from '../../../engine/lora/pools.ts';
import { pagesFor } from '../../../engine/lora/slots.ts';
import { type Geometry, geometryOf, isGeometry, PRESETS, standInDivisors } from '../../../engine/models/geometry.ts';
import type { Buffers } from '../../../engine/transformer/buffers.ts';
import { GROUPS, groupShapes, loraLayout } from '../../../engine/transformer/dimensions.ts';
import { Transformer } from '../../../engine/transformer/transformer.ts';
import type { Weights } from '../../../engine/transformer/weights.ts';

const MODELS = Object.values(PRESETS).flatMap((g) => [g.name, ...standInDivisors(g).map((n) => `${g.name}@1/${n}`)]);
const MOST_GROUPS = 65_535;
const MAX_RANK = 64;
const SLOTS = 32;

/** Kept for the life of the process, which crashes when the object from create() is collected before its device. */
const kept: unknown[] = [];
let device: GPUDevice;
beforeAll(async () => {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create(['backend=null']);
  kept.push(gpu);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('the null backend gives no adapter');
  device = await adapter.requestDevice();
  kept.push(device);
});

const known = (name: string): Geometry => {
  const g = geometryOf(name);
  if (!isGeometry(g)) throw new Error(g.message);
  return g;
};

/** Compiles as the engine does, and binds nothing: a real model's buffers would not fit here. */
class CompileOnly extends KernelCompiler {
  readonly made = new Set<string>();

  override async compile(kernel: Kernel, constants: Record<string, number>, options = {}): Promise<CompiledKernel> {
    const compiled = await super.compile(kernel, constants, options);
    this.made.add(`${kernel.name} ${kernel.entry} ${JSON.stringify(constants)}`);
    return { ...compiled, bind: () => ({}) as GPUBindGroup };
  }
}

/** The null backend's device, as if it were that of a processor or not. */
const factsOn = (software: boolean): DeviceFacts => factsOf({} as GPUAdapterInfo, device, software);

/** One layer of the model, compiled by the engine's own code. */
async function compileModel(
  g: Geometry,
  options: { software: boolean; batchInvariant: boolean },
): Promise<Set<string>> {
  const compiler = new CompileOnly(device);
  const any = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  const layer = Object.fromEntries(GROUPS.map((group) => [group, any])) as Weights['layers'][number];
  const parts = {
    weights: {
      layers: [layer],
      embedding: any,
      head: any,
      inputNorms: [any],
      postAttentionNorms: [any],
      finalNorm: any,
    },
    buffers: { kv: [{ k: any, v: any }], ids: [any, any] } as unknown as Buffers,
    pools: { layers: [{ a: any, b: any }] } as LoraPools,
    lora: loraLayout(g, pagesFor(SLOTS, MAX_RANK), MAX_RANK, SLOTS),
  };
  await Transformer.create(compiler, g, parts, {
    facts: factsOn(options.software),
    batchInvariant: options.batchInvariant,
  });
  for (const kernel of [foldColumns, foldMerge]) {
    await FoldGroup.create(compiler, kernel, g, parts.lora, options.software);
  }
  any.destroy();
  return compiler.made;
}

it('has the smallest limits there are', () => {
  const { maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } =
    device.limits;
  expect({
    maxStorageBuffersPerShaderStage,
    maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup,
  }).toEqual({
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
  });
});

it('refuses what is beyond them', async () => {
  const shape: MatmulShape = { k: 64, n: 128, out: 128, finish: 'none', rows: 'all', lora: null };
  const wide = { ...matmulConstants(shape, { tm: 1, tn: 2, kSplit: 8 }), THREADS: 512 };
  await expect(new KernelCompiler(device).compile(matmul, wide)).rejects.toThrow(/^kernel matmul \(main\)/);
});

it('takes the kernels that make weights', async () => {
  expect(await RandomWeights.create(new KernelCompiler(device))).toBeInstanceOf(RandomWeights);
});

describe.each(MODELS)('%s', (name) => {
  const g = known(name);

  // The tile of batch-invariant products is one of these (matmul.test.ts).
  it.each([true, false])('compiles, software %s', async (software) => {
    const made = await compileModel(g, { software, batchInvariant: false });
    // Six kernels besides the products, a shrink for each group (o and down may share theirs), two folds, products.
    expect(made.size).toBeGreaterThanOrEqual(6 + 3 + 2 * 3 + 2 * GROUPS.length + 1 - 2);
    for (const kernel of ['embed', 'rmsnorm', 'rope-kv', 'attention', 'sample', 'shrink', 'matmul', 'fold']) {
      expect(
        [...made].some((one) => one.startsWith(`${kernel} `)),
        kernel,
      ).toBe(true);
    }
  });

  it('stays within the grids WebGPU allows, for every step up to 2,048 rows', () => {
    const shapes = groupShapes(g);
    const { groups } = loraLayout(g, pagesFor(SLOTS, MAX_RANK), MAX_RANK, SLOTS);
    const attentionShape = { heads: g.heads, kvHeads: g.kvHeads, headDim: g.headDim, blockSize: 16 };
    for (const rows of [1, 2, 3, 4, 5, 256, 2048]) {
      const step = { rows, samples: rows, tiles: rows, maxRank: MAX_RANK, loraRows: rows };
      const widths = [...GROUPS.map((group) => shapes[group].n), padColumns(g.vocab)];
      const grids: Grid[] = [
        embedGrid(g.hidden, rows),
        ropeKvGrid(attentionShape, rows),
        attentionGrid(attentionShape, rows),
        ...GROUPS.map((group) => shrinkGrid(groups[group], step)),
        ...GROUPS.map((group) => foldGrid(shapes[group])),
        ...widths.flatMap((n) =>
          [true, false].map((software) => {
            const tile = matmulTile(rows, { software, batchInvariant: false });
            const grid = matmulGrid({ n } as MatmulShape, tile, rows);
            expect(grid[0] * 32 * tile.tn, `${n} columns in tiles of ${tile.tn}`).toBe(n);
            return grid;
          }),
        ),
      ];
      for (const grid of grids) for (const groupsOfOne of grid) expect(groupsOfOne).toBeLessThanOrEqual(MOST_GROUPS);
    }
  });
});
