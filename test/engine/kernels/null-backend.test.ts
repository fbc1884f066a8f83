/**
 * Every kernel a model of real size compiles, with that model's own constants, on Dawn's null backend: it runs nothing, but it
 * compiles and validates for real, and its limits are WebGPU's smallest (8 storage buffers, 16 KiB of workgroup memory, 256
 * invocations), so what passes here is within the limits of every device.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { type DeviceFacts, factsOf } from '../../../engine/device/facts.ts';
import { attentionGrid, ropeKvGrid } from '../../../engine/kernels/attention.ts';
import { attentionFlash, attentionFlashGrid, flashTile } from '../../../engine/kernels/attention-flash.ts';
import {
  attentionMergeGrid,
  attentionSplit,
  attentionSplitConstants,
  attentionSplitGrid,
} from '../../../engine/kernels/attention-split.ts';
import { embedGrid } from '../../../engine/kernels/embed.ts';
import { foldColumns, foldGrid, foldMerge } from '../../../engine/kernels/fold.ts';
import { gemvGrid, gemvTile } from '../../../engine/kernels/gemv.ts';
import {
  type CompiledKernel,
  type Grid,
  type Kernel,
  KernelCompiler,
  sourceOf,
} from '../../../engine/kernels/kernel.ts';
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
import type { WeightFormat } from '../../../engine/models/weight-formats.ts';
import { attentionStages } from '../../../engine/transformer/attention-stages.ts';
import type { Buffers } from '../../../engine/transformer/buffers.ts';
import { GROUPS, groupShapes, loraLayout } from '../../../engine/transformer/dimensions.ts';
import { gemvProduct, gemvStages } from '../../../engine/transformer/gemv-stages.ts';
import { attentionShapeOf } from '../../../engine/transformer/product-stages.ts';
import type { StageContext } from '../../../engine/transformer/stage.ts';
import { Transformer } from '../../../engine/transformer/transformer.ts';
import { weightLayouts } from '../../../engine/transformer/weight-layouts.ts';
import type { Weights } from '../../../engine/transformer/weights.ts';

const MODELS = Object.values(PRESETS).flatMap((g) => [g.name, ...standInDivisors(g).map((n) => `${g.name}@1/${n}`)]);
const MOST_GROUPS = 65_535;
const MAX_RANK = 64;
const SLOTS = 32;

/** Kept for the life of the process, which crashes when the object from create() is collected before its device. */
const kept: unknown[] = [];
let device: GPUDevice;
/** The same with every feature there is: for kernels that no device in CI has the features of. */
let deviceOfAll: GPUDevice;
beforeAll(async () => {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create(['backend=null']);
  kept.push(gpu);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('the null backend gives no adapter');
  device = await adapter.requestDevice();
  const second = (await gpu.requestAdapter()) as GPUAdapter;
  deviceOfAll = await second.requestDevice({ requiredFeatures: [...second.features] as GPUFeatureName[] });
  kept.push(device, deviceOfAll);
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
  options: { software: boolean; batchInvariant: boolean; weights?: WeightFormat },
): Promise<Set<string>> {
  const compiler = new CompileOnly(device);
  const any = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  const layer = Object.fromEntries(GROUPS.map((group) => [group, any])) as Weights['layers'][number];
  const layouts = weightLayouts(g, options.weights ?? 'f16', options.software);
  const parts = {
    weights: {
      layouts,
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
    variants: new Set(),
  });
  for (const kernel of [foldColumns, foldMerge]) {
    await FoldGroup.create(compiler, kernel, g, parts.lora, layouts.projections, options.software);
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
  const weights = { format: 'f16', pack: 1 } as const;
  const shape: MatmulShape = { k: 64, n: 128, out: 128, finish: 'none', rows: 'all', weights, lora: null };
  const wide = { ...matmulConstants(shape, { tm: 1, tn: 4, columns: 64, kSplit: 16 }), THREADS: 512 };
  await expect(new KernelCompiler(device).compile(matmul(weights), wide)).rejects.toThrow(/^kernel matmul \(main\)/);
});

it('takes the kernels that make weights', async () => {
  expect(await RandomWeights.create(new KernelCompiler(device))).toBeInstanceOf(RandomWeights);
});

it.each(['int8', 'int4'] as const)('takes the portable kernels of a model in %s', async (weights) => {
  for (const software of [true, false]) {
    const made = await compileModel(known('llama-3-70b'), { software, batchInvariant: false, weights });
    const [format, pack] = [weights === 'int8' ? 1 : 2, software ? 1 : 4];
    const own = (kernel: string) => [...made].filter((one) => one.startsWith(kernel));
    for (const kernel of ['matmul ', 'fold columns ']) {
      for (const one of own(kernel)) expect(one).toMatch(new RegExp(`"FORMAT":${format},"PACK":${pack}\\b`));
      expect(own(kernel).length).toBeGreaterThanOrEqual(GROUPS.length);
    }
    // Of the embeddings, which stay f16.
    expect(own('embed ')[0]).toMatch(software ? /"FORMAT":0,"PACK":1\b/ : /"FORMAT":0,"PACK":8\b/);
  }
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

  it('compiles the products of few rows for GPUs, in every format its widths take, and the head', async () => {
    const compiler = new CompileOnly(deviceOfAll);
    const options = { facts: factsOn(false), batchInvariant: false };
    const lora = loraLayout(g, pagesFor(SLOTS, MAX_RANK), MAX_RANK, SLOTS);
    const shared = { compiler, geometry: g, lora, shapes: groupShapes(g), buffers: {}, options };
    const whole = [g.hidden, g.intermediate, g.heads * g.headDim].every((width) => width % 64 === 0);
    for (const format of whole ? (['f16', 'int8', 'int4'] as const) : (['f16'] as const)) {
      const { projections, head } = weightLayouts(g, format, false);
      await gemvStages({ ...shared, layout: projections } as unknown as StageContext);
      const n = padColumns(g.vocab);
      const shape: MatmulShape = {
        k: g.hidden,
        n,
        out: g.vocab,
        finish: 'none',
        rows: 'sampled',
        weights: head,
        lora: null,
      };
      await gemvProduct(compiler, shape, false);
      expect(gemvGrid(shape, gemvTile(shape, 1), 8)[0]).toBeLessThanOrEqual(MOST_GROUPS);
    }
    const names = new Set([...compiler.made].map((one) => one.split(' ')[0]));
    expect(names).toEqual(new Set(['gemv', 'shrink-few', 'rmsnorm-wide', 'rope-kv']));
  });

  it('compiles attention for GPUs, with subgroups and without', async () => {
    const compiler = new CompileOnly(device);
    const options = { facts: factsOn(false), batchInvariant: false };
    await attentionStages({ compiler, geometry: g, buffers: {}, options } as unknown as StageContext);
    const names = [...compiler.made].map((one) => one.split(' ')[0]);
    expect(names.sort()).toEqual(['attention-flash', 'attention-flash', 'attention-merge', 'attention-split']);
    const shape = attentionShapeOf(g);
    const within = attentionSplit(shape, { lanes: g.headDim / 8, subgroup: true });
    await new KernelCompiler(deviceOfAll).compile(within, attentionSplitConstants(shape));
  });

  it('has a prompt tile for GPUs with 48 KiB, whose text compiles', async () => {
    const kernel = attentionFlash(attentionShapeOf(g), flashTile(g, { maxWorkgroupBytes: 49_152 }));
    device.pushErrorScope('validation');
    device.createShaderModule({ code: sourceOf(kernel) });
    expect((await device.popErrorScope())?.message).toBeUndefined();
  });

  it('stays within the grids WebGPU allows, for every step up to 2,048 rows', () => {
    const shapes = groupShapes(g);
    const { groups } = loraLayout(g, pagesFor(SLOTS, MAX_RANK), MAX_RANK, SLOTS);
    const attentionShape = { heads: g.heads, kvHeads: g.kvHeads, headDim: g.headDim, blockSize: 16 };
    for (const rows of [1, 2, 3, 4, 5, 256, 2048]) {
      const queries = { decodes: rows, longest: 131_072, queryTiles: rows };
      const step = { rows, samples: rows, tiles: rows, maxRank: MAX_RANK, loraRows: rows, ...queries };
      const widths = [...GROUPS.map((group) => shapes[group].n), padColumns(g.vocab)];
      const grids: Grid[] = [
        embedGrid(g.hidden, rows),
        ropeKvGrid(attentionShape, rows),
        attentionGrid(attentionShape, rows),
        attentionSplitGrid(attentionShape, step),
        attentionMergeGrid(attentionShape, step),
        attentionFlashGrid(attentionShape, { rows: 8, heads: 1 }, step, 'all'),
        ...GROUPS.map((group) => shrinkGrid(groups[group], step)),
        ...GROUPS.map((group) => foldGrid(shapes[group])),
        ...widths.flatMap((n) =>
          [true, false].map((software) => {
            const tile = matmulTile(rows, { software, batchInvariant: false });
            const grid = matmulGrid({ n } as MatmulShape, tile, rows);
            expect(grid[0] * tile.columns, `${n} columns in tiles of ${tile.columns}`).toBe(n);
            return grid;
          }),
        ),
      ];
      for (const grid of grids) for (const groupsOfOne of grid) expect(groupsOfOne).toBeLessThanOrEqual(MOST_GROUPS);
    }
  });
});
