/**
 * A whole model whose projections are done on tensor cores (split-k up to 64 rows, tiles above), against the same model in the
 * portable kernels and against the golden logits, with adapters of ranks 4 to 64 and DoRA's columns in one batch, in prompts
 * and in decode steps.
 *
 * The bound is stated in what rounding keys and values to f16 does to the logits (golden.test.ts): tensor cores round x of four
 * products a layer likewise, and quantised weights, so of such errors there are a few more. Three times the rounding's own
 * effect is allowed. Measured with lavapipe of Mesa 26.2.6, f16: 1.3 times its largest and 1.5 times its rms beside the
 * portable kernels, 0.9 and 1.9 times beside the golden.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { RandomWeights } from '../../../engine/kernels/random-weights.ts';
import { shrinkTile } from '../../../engine/kernels/shrink-tiles.ts';
import { SPLIT_K_ROWS, splitKTile } from '../../../engine/kernels/split-k.ts';
import { tensorCoresOf } from '../../../engine/kernels/tensor-product.ts';
import { TILES_ROWS, tilesTile } from '../../../engine/kernels/tiles.ts';
import { type WeightFormat, widePack } from '../../../engine/kernels/weight-format.ts';
import { packAdapter } from '../../../engine/lora/pack.ts';
import { hasColumns } from '../../../engine/lora/packed-adapter.ts';
import { MODULES } from '../../../engine/models/projections.ts';
import { groupShapes, loraLayout } from '../../../engine/transformer/dimensions.ts';
import type { Model } from '../../../engine/transformer/model.ts';
import {
  type ChooseSplitK,
  splitKBytes,
  splitKLack,
  splitKStages,
} from '../../../engine/transformer/split-k-stages.ts';
import type { Stage } from '../../../engine/transformer/stage.ts';
import {
  type ChooseShrink,
  type ChooseTile,
  tilesLack,
  tilesStages,
} from '../../../engine/transformer/tiles-stages.ts';
import { allocateWeights, fillWeights } from '../../../engine/transformer/weights.ts';
import { testDevice } from '../../support/device.ts';
import { adapterInMemory, type Wanted } from '../lora/adapter-in-memory.ts';
import { distance, type Generated, generate, load, makeModel, someIds } from './generate.ts';

interface Golden {
  seed: number;
  adapters: { name: string; rank: number; seed: number }[];
  kvRounding: { max: number; rms: number };
  watched: number[];
  sequences: { adapter: string | null; prompt: number[]; forced: number[]; after: { logits: number[] }[] }[];
}
const [golden] = JSON.parse(readFileSync(new URL('../../golden/llama-forward.json', import.meta.url), 'utf8')) as [
  Golden,
];
const NAME = 'llama-3.2-1b@1/8';
const ALLOWED = 3;

const { device, facts } = await testDevice();
const cores = tensorCoresOf(facts);

/** A processor takes minutes to compile large tiles (kernels/split-k.test.ts); there they are as small as the matrices allow. */
const smallTile = (
  ...[
    rows,
    { finish },
    {
      matrix: { m, n },
    },
  ]: Parameters<ChooseTile>
): NonNullable<ReturnType<ChooseTile>> => ({
  rows: Math.min(64, TILES_ROWS.find((most) => rows <= most) ?? 64),
  columns: 32,
  subgroupRows: m,
  subgroupColumns: finish === 'swiglu' ? 2 * n : n,
  depth: 32,
  buffers: 1,
  direct: false,
});
const smallShrink: ChooseShrink = (_, { matrix: { m, n } }) => {
  const rows = { rows: 16, subgroupRows: m };
  return { ...rows, columns: 32, subgroupColumns: n, depth: 32, buffers: 1, direct: false };
};
const smallSplit: ChooseSplitK = (rows, shape, given) => {
  const tall = SPLIT_K_ROWS.find((most) => rows <= most);
  return tall ? { tile: smallTile(tall, { ...shape, finish: 'none' }, given), split: 3 } : null;
};

/** Puts the stages of every layer that are projections in their places. */
async function onTensorCores(model: Model, format: WeightFormat): Promise<void> {
  const { geometry, memory, slots } = model;
  const compiler = new KernelCompiler(device);
  const packed = { format, pack: widePack(format) };
  const f16 = { format: 'f16', pack: 1 } as const;
  const weights = allocateWeights(device, geometry, { projections: packed, embedding: f16, head: f16 }, 'shared');
  fillWeights(device, await RandomWeights.create(compiler), weights, geometry, golden.seed);
  const context = {
    compiler,
    geometry,
    layout: packed,
    lora: loraLayout(geometry, slots.pages, 64, slots.slots),
    shapes: groupShapes(geometry),
    buffers: model['buffers'],
    options: { facts, batchInvariant: false, variants: new Set<never>() },
  };
  const [split, tile, shrink] = facts.software
    ? ([smallSplit, smallTile, smallShrink] as const)
    : ([splitKTile, tilesTile, shrinkTile] as const);
  expect([splitKLack(context, split), tilesLack(context, tile)]).toEqual([null, null]);
  const partials = device.createBuffer({ size: splitKBytes(context, split), usage: GPUBufferUsage.STORAGE });
  const [few, many] = await Promise.all([splitKStages(context, partials, split), tilesStages(context, tile, shrink)]);
  const { layers } = model['transformer']['compiled'];
  expect(memory.maxNumBatchedTokens).toBeGreaterThan(64);
  layers.forEach((layer, i) => {
    const { k, v } = model['buffers'].kv[i]!;
    const { a, b } = model.pools.layers[i]!;
    for (const group of ['qkv', 'o', 'gateUp', 'down'] as const) {
      const norms = {
        qkv: null,
        o: weights.postAttentionNorms[i]!,
        gateUp: null,
        down: weights.inputNorms[i + 1] ?? null,
      };
      const bound = { w: weights.layers[i]![group], k, v, a, b, norm: norms[group] };
      const [one, other] = [few[group](bound), many[group](bound)];
      const stage: Stage = { encode: (run, step) => (step.rows <= 64 ? one : other).encode(run, step) };
      layer[group] = stage;
    }
  });
}

async function withAdapters(config: Parameters<typeof makeModel>[0]): Promise<Model> {
  const model = await makeModel({ model: NAME, seed: golden.seed, maxNumBatchedTokens: 512, ...config });
  for (const adapter of golden.adapters) load(model, adapter);
  const wanted: Wanted[] = Array.from({ length: model.geometry.layers }, (_, layer) =>
    MODULES.map((module) => ({
      layer,
      module,
      rank: 5,
      scale: 0.5,
      magnitude: (row: number) => 0.8 + (row % 11) / 25,
    })),
  ).flat();
  const packed = await packAdapter(adapterInMemory(model.geometry, wanted, 1), model.geometry);
  const place = model.slots.add('dora', 'test', packed.rank, packed.scale, hasColumns(packed));
  if (!place) throw new Error('no slot for dora');
  for (const _ of model.pools.upload(place, packed)) _;
  return model;
}

function errorsOf(pairs: [ArrayLike<number>, ArrayLike<number>][]): { max: number; rms: number } {
  const max = Math.max(...pairs.map(([a, b]) => distance(a, b)));
  let squares = 0;
  let count = 0;
  for (const [a, b] of pairs) {
    for (let i = 0; i < a.length; i++) squares += ((a[i] as number) - (b[i] as number)) ** 2;
    count += a.length;
  }
  return { max, rms: Math.sqrt(squares / count) };
}

function expectWithin(pairs: [ArrayLike<number>, ArrayLike<number>][], what: string): void {
  const errors = errorsOf(pairs);
  const { kvRounding } = golden;
  expect(errors.max, `${what}, largest`).toBeLessThan(ALLOWED * kvRounding.max);
  expect(errors.rms, `${what}, rms`).toBeLessThan(ALLOWED * kvRounding.rms);
}

describe.skipIf(!cores)('on a device with subgroup matrices (skipped on others: SwiftShader has none)', () => {
  describe.each(['f16', 'int4'] as const)('%s', (format) => {
    let portable: Model;
    let tensor: Model;
    beforeAll(async () => {
      portable = await withAdapters({ weights: format });
      tensor = await withAdapters({ weights: format });
      await onTensorCores(tensor, format);
    });

    test('a prompt of every adapter and the base in one batch, then decode steps, as the portable kernels have them', async () => {
      const asked = [null, ...golden.adapters.map(({ name }) => name), 'dora', 'dora', null].map((adapter, i) => ({
        adapter,
        prompt: someIds(portable, i, 9 + 5 * i),
        forced: someIds(portable, 50 + i, 2),
      }));
      expect(asked.reduce((rows, { prompt }) => rows + prompt.length, 0)).toBeGreaterThan(64);
      const [want, got] = [await generate(portable, asked), await generate(tensor, asked)] as [
        Generated[],
        Generated[],
      ];
      const pairs = want.flatMap(({ logits }, i) =>
        logits.map((one, j): [Float32Array, Float32Array] => [got[i]!.logits[j]!, one]),
      );
      expect(pairs.length).toBe(3 * asked.length);
      expectWithin(pairs, `${format}, as portable`);
    });
  });

  test('f16: the golden logits', async () => {
    const model = await withAdapters({});
    await onTensorCores(model, 'f16');
    const got = await generate(model, golden.sequences, { maxNumBatchedTokens: 512 });
    const pairs = golden.sequences.flatMap(({ after }, i) =>
      after.map(({ logits }, token): [ArrayLike<number>, ArrayLike<number>] => [
        golden.watched.map((id) => got[i]!.logits[token]![id] as number),
        logits,
      ]),
    );
    expectWithin(pairs, 'golden');
  });
});
