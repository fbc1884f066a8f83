/**
 * The kernels for tensor cores, which no device in CI has, on Dawn's null backend: it offers every feature and compiles for
 * real. What an NVIDIA GPU would compile for models of real size, with matrices of 16 and, as a processor has them, of 8, as
 * modules; a device with WebGPU's smallest limits as whole pipelines, all stages of a layer.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { DeviceFacts } from '../../../engine/device/facts.ts';
import {
  type CompiledKernel,
  type Grid,
  type Kernel,
  KernelCompiler,
  sourceOf,
} from '../../../engine/kernels/kernel.ts';
import { type MatmulShape, padColumns } from '../../../engine/kernels/matmul.ts';
import { shrinkTile, shrinkTiles } from '../../../engine/kernels/shrink-tiles.ts';
import { SPLIT_K_ROWS, splitK, splitKGrid, splitKTile } from '../../../engine/kernels/split-k.ts';
import { tensorCoresOf } from '../../../engine/kernels/tensor-product.ts';
import { TILES_ROWS, tiles, tilesGrid, tilesTile } from '../../../engine/kernels/tiles.ts';
import { WEIGHT_FORMATS, type WeightFormat, widePack } from '../../../engine/kernels/weight-format.ts';
import { pagesFor } from '../../../engine/lora/slots.ts';
import { type Geometry, geometryOf, isGeometry } from '../../../engine/models/geometry.ts';
import { GROUPS, groupShapes, loraLayout } from '../../../engine/transformer/dimensions.ts';
import { projectionShape } from '../../../engine/transformer/projection-shape.ts';
import { splitKBytes, splitKLack, splitKStages } from '../../../engine/transformer/split-k-stages.ts';
import type { StageContext } from '../../../engine/transformer/stage.ts';
import { tilesLack, tilesStages } from '../../../engine/transformer/tiles-stages.ts';

const MODELS = ['llama-3-8b', 'llama-3-70b', 'llama-3.2-1b', 'llama-3-8b@1/8'];
const MOST_GROUPS = 65_535;

const kept: unknown[] = [];
let device: GPUDevice;
beforeAll(async () => {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = (await gpu.requestAdapter()) as GPUAdapter;
  device = await adapter.requestDevice({ requiredFeatures: [...adapter.features] as GPUFeatureName[] });
  kept.push(gpu, device);
});

/** An H100 as its driver is expected to tell of it, or the least that has tensor cores. */
const factsOf = (size: number, limits: 'h100' | 'least'): DeviceFacts => ({
  software: false,
  subgroups: { min: 32, max: 32 },
  subgroupSizeControl: true,
  f16: true,
  timestamps: true,
  matrix: { m: size, n: size, k: size },
  maxWorkgroupBytes: limits === 'h100' ? 49_152 : 16_384,
  maxInvocations: limits === 'h100' ? 1024 : 256,
});

function contextOf(name: string, format: WeightFormat, facts: DeviceFacts): StageContext {
  const geometry = geometryOf(name);
  if (!isGeometry(geometry)) throw new Error(geometry.message);
  return {
    compiler: new CompileOnly(device),
    geometry,
    layout: { format, pack: widePack(format) },
    lora: loraLayout(geometry, pagesFor(32, 64), 64, 32),
    shapes: groupShapes(geometry),
    buffers: {} as StageContext['buffers'],
    options: { facts, batchInvariant: false, variants: new Set() },
  };
}

const headOf = (g: Geometry, weights: MatmulShape['weights']): MatmulShape => ({
  k: g.hidden,
  n: padColumns(g.vocab),
  out: g.vocab,
  finish: 'none',
  rows: 'sampled',
  weights,
  lora: null,
});

/** Compiles as the engine does, and binds nothing. */
class CompileOnly extends KernelCompiler {
  readonly made: string[] = [];

  override async compile(kernel: Kernel, constants: Record<string, number>, options = {}): Promise<CompiledKernel> {
    const compiled = await super.compile(kernel, constants, options);
    this.made.push(kernel.name);
    return { ...compiled, bind: () => ({}) as GPUBindGroup };
  }
}

async function problemOf(kernel: Kernel): Promise<string | undefined> {
  device.pushErrorScope('validation');
  device.createShaderModule({ code: sourceOf(kernel) });
  return (await device.popErrorScope())?.message;
}

describe.each([16, 8])('matrices of %i', (size) => {
  it('each tile of every model and format compiles, and its grids are within bounds', async () => {
    const facts = factsOf(size, 'h100');
    const cores = tensorCoresOf(facts)!;
    const kernels = new Map<string, Kernel>();
    const grids: Grid[] = [];
    for (const name of MODELS) {
      for (const format of WEIGHT_FORMATS) {
        const context = contextOf(name, format, facts);
        expect([splitKLack(context), tilesLack(context)]).toEqual([null, null]);
        // What a buffer may be on every device.
        expect(splitKBytes(context)).toBeLessThanOrEqual(128 * 2 ** 20);
        const shapes = GROUPS.map((group) => projectionShape(context, group));
        for (const shape of [...shapes, headOf(context.geometry, context.layout)]) {
          for (const rows of TILES_ROWS) {
            const tile = tilesTile(rows, shape, cores)!;
            const kernel = tiles(tile, shape.weights, cores);
            kernels.set(sourceOf(kernel), kernel);
            grids.push(tilesGrid(shape, tile, 65_535));
          }
        }
        for (const shape of shapes) {
          const shrink = shrinkTiles(shrinkTile(shape.k, cores)!, cores);
          kernels.set(sourceOf(shrink), shrink);
          for (const rows of SPLIT_K_ROWS) {
            const how = splitKTile(rows, shape, cores)!;
            const kernel = splitK(how.tile, shape.weights, cores);
            kernels.set(sourceOf(kernel), kernel);
            grids.push(splitKGrid(shape, how, { tiles: rows, maxRank: 64 }));
          }
        }
      }
    }
    expect(kernels.size).toBeGreaterThan(20);
    for (const kernel of kernels.values())
      expect(await problemOf(kernel), JSON.stringify(kernel.fixed)).toBeUndefined();
    for (const grid of grids) for (const groups of grid) expect(groups).toBeLessThanOrEqual(MOST_GROUPS);
  });

  it.each(WEIGHT_FORMATS)('stages in %s compile as pipelines within the smallest limits', async (format) => {
    const context = contextOf('llama-3-8b', format, factsOf(size, 'least'));
    await splitKStages(context, {} as GPUBuffer);
    await tilesStages(context);
    const { made } = context.compiler as CompileOnly;
    expect(new Set(made)).toEqual(
      new Set([
        'split-k',
        'reduce-rope',
        'reduce-norm',
        'reduce-swiglu',
        'tiles',
        'shrink-tiles',
        'rmsnorm',
        'rope-kv',
      ]),
    );
  });
});

it('a device without one of the features, or a matrix that no tile divides, is told so', () => {
  const facts = factsOf(16, 'h100');
  for (const without of [{ matrix: null }, { f16: false }, { subgroups: null }, { subgroupSizeControl: false }]) {
    expect(tensorCoresOf({ ...facts, ...without })).toBeNull();
    expect(splitKLack(contextOf('llama-3-8b', 'f16', { ...facts, ...without }))).toContain('tensor cores');
  }
  const context = contextOf('llama-3-8b', 'f16', facts);
  const narrow = { ...context, layout: { format: 'f16', pack: 1 } as const };
  expect(splitKLack(narrow)).toContain('a tile for qkv');
  expect(tilesLack(narrow)).toContain('qkv');
  expect(splitKBytes(narrow)).toBe(0);
});
