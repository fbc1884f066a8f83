/**
 * A step's data -> its dispatches: the Llama architecture (Touvron et al. 2023), each layer in the paper's order.
 *
 * Everything a step binds is made here once: per layer and per row tile, with and without adapters. encode() only picks
 * and dispatches, so the loop creates no buffer, bind group or pipeline.
 */
import { attention, attentionConstants, attentionGrid, ropeKv, ropeKvGrid } from '../kernels/attention.ts';
import { embed, embedConstants, embedGrid } from '../kernels/embed.ts';
import { type Call, dispatch, type Grid, type KernelCompiler } from '../kernels/kernel.ts';
import {
  type MatmulShape,
  type MatmulTile,
  matmul,
  matmulConstants,
  matmulGrid,
  matmulTile,
  padColumns,
  tileKey,
} from '../kernels/matmul.ts';
import { rmsnorm, rmsnormConstants, rmsnormGrid } from '../kernels/rmsnorm.ts';
import { sample, sampleConstants, sampleGrid } from '../kernels/sample.ts';
import { shrink, shrinkConstants, shrinkGrid } from '../kernels/shrink.ts';
import type { LoraPools } from '../lora/pools.ts';
import type { Geometry } from '../models/geometry.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import type { Buffers } from './buffers.ts';
import { GROUPS, type Group, groupShapes, type LoraLayout } from './dimensions.ts';
import { KV_BLOCK } from './memory-plan.ts';
import type { Weights } from './weights.ts';

export interface TransformerOptions {
  software: boolean;
  batchInvariant: boolean;
}

/** One matrix product of a layer, in every tile, with and without adapters. */
interface Projection {
  shape: MatmulShape;
  base: Map<string, Call>;
  /** Empty without slots, unless results must not depend on there being any. */
  lora: Map<string, Call>;
  shrink: Call | null;
}

interface Layer {
  norm1: Call;
  qkv: Projection;
  rope: Call;
  attention: Call;
  o: Projection;
  norm2: Call;
  gateUp: Projection;
  down: Projection;
}

/** Row counts that stand for all tiles matmulTile() can choose. */
export const TILE_ROWS = [1, 2, 4, 8];

type Compiled = Awaited<ReturnType<typeof compileAll>>;

export class Transformer {
  private readonly geometry: Geometry;
  private readonly options: TransformerOptions;
  private readonly compiled: Compiled;

  private constructor(geometry: Geometry, options: TransformerOptions, compiled: Compiled) {
    this.geometry = geometry;
    this.options = options;
    this.compiled = compiled;
  }

  /** @throws EngineError naming the kernel, when one does not compile */
  static async create(
    compiler: KernelCompiler,
    geometry: Geometry,
    parts: { weights: Weights; buffers: Buffers; pools: LoraPools; lora: LoraLayout },
    options: TransformerOptions,
  ): Promise<Transformer> {
    return new Transformer(geometry, options, await compileAll(compiler, geometry, parts, options));
  }

  /**
   * Records the step whose data is in buffers.step.
   * @param parity which of the two id buffers this step writes; the other holds the step before it
   * @returns dispatches recorded
   */
  encode(pass: GPUComputePassEncoder, step: StepShape, parity: 0 | 1): number {
    const { geometry: g, options } = this;
    const { attentionShape, embeds, layers, finalNorm, head, samples } = this.compiled;
    let dispatches = 0;
    const run = (call: Call, grid: Grid) => {
      dispatch(pass, call, grid);
      dispatches++;
    };
    const tile = matmulTile(step.rows, options);
    const project = (projection: Projection) => {
      const { shape } = projection;
      const withLora = step.tiles > 0;
      if (withLora && shape.lora && projection.shrink) run(projection.shrink, shrinkGrid(shape.lora, step));
      // Two pipelines may round differently, so a row must not change from one to the other by what is beside it.
      const calls = withLora || options.batchInvariant ? projection.lora : projection.base;
      run(pick(calls, tile), matmulGrid(shape, tile, step.rows));
    };

    run(embeds[parity], embedGrid(g.hidden, step.rows));
    for (const layer of layers) {
      run(layer.norm1, rmsnormGrid(step.rows));
      project(layer.qkv);
      run(layer.rope, ropeKvGrid(attentionShape, step.rows));
      run(layer.attention, attentionGrid(attentionShape, step.rows));
      project(layer.o);
      run(layer.norm2, rmsnormGrid(step.rows));
      project(layer.gateUp);
      project(layer.down);
    }
    if (step.samples === 0) return dispatches;
    run(finalNorm, rmsnormGrid(step.samples));
    const headTile = matmulTile(step.samples, options);
    run(pick(head.tiles, headTile), matmulGrid(head.shape, headTile, step.samples));
    run(samples[parity], sampleGrid(step.samples));
    return dispatches;
  }
}

function pick(calls: Map<string, Call>, tile: MatmulTile): Call {
  const call = calls.get(tileKey(tile));
  if (!call) throw new Error(`no pipeline was made for tile ${tileKey(tile)}`);
  return call;
}

async function compileAll(
  compiler: KernelCompiler,
  g: Geometry,
  { weights, buffers, pools, lora }: { weights: Weights; buffers: Buffers; pools: LoraPools; lora: LoraLayout },
  options: TransformerOptions,
) {
  const attentionShape = { heads: g.heads, kvHeads: g.kvHeads, headDim: g.headDim, blockSize: KV_BLOCK };
  const shapes = groupShapes(g);
  const outs: Record<Group, number> = {
    qkv: (g.heads + 2 * g.kvHeads) * g.headDim,
    o: g.hidden,
    gateUp: g.intermediate,
    down: g.hidden,
  };
  const finishes = { qkv: 'none', o: 'residual', gateUp: 'swiglu', down: 'residual' } as const;
  const matmulShape = (group: Group, withLora: boolean): MatmulShape => ({
    k: shapes[group].k,
    n: shapes[group].n,
    out: outs[group],
    finish: finishes[group],
    rows: 'all',
    lora: withLora ? lora.groups[group] : null,
  });
  const tiles = [...new Map(TILE_ROWS.map((rows) => matmulTile(rows, options)).map((t) => [tileKey(t), t])).values()];
  const slots = lora.slots > 0;
  const compileTiles = async (shape: MatmulShape) =>
    Promise.all(
      tiles.map(async (t) => [tileKey(t), await compiler.compile(matmul, matmulConstants(shape, t))] as const),
    );

  const headShape: MatmulShape = {
    k: g.hidden,
    n: padColumns(g.vocab),
    out: g.vocab,
    finish: 'none',
    rows: 'sampled',
    lora: null,
  };
  const [embedder, norm, gatherNorm, rope, attend, sampler, headTiles, groups] = await Promise.all([
    compiler.compile(embed, embedConstants(g.hidden)),
    compiler.compile(rmsnorm, rmsnormConstants(g.hidden, g.normEps, false)),
    compiler.compile(rmsnorm, rmsnormConstants(g.hidden, g.normEps, true)),
    compiler.compile(ropeKv, attentionConstants(attentionShape)),
    compiler.compile(attention, attentionConstants(attentionShape)),
    compiler.compile(sample, sampleConstants(g.vocab)),
    compileTiles(headShape),
    Promise.all(
      GROUPS.map(async (group) => ({
        group,
        base: await compileTiles(matmulShape(group, false)),
        lora: slots || options.batchInvariant ? await compileTiles(matmulShape(group, true)) : [],
        shrink: slots ? await compiler.compile(shrink, shrinkConstants(shapes[group].k, lora.groups[group])) : null,
      })),
    ),
  ]);

  const b = buffers;
  const call = (kernel: typeof norm, ...bound: GPUBuffer[]): Call => ({
    pipeline: kernel.pipeline,
    group: kernel.bind(...bound),
  });
  const projection = (layer: number, group: Group, x: GPUBuffer, y: GPUBuffer, residual: GPUBuffer): Projection => {
    const compiled = groups.find((entry) => entry.group === group);
    const w = weights.layers[layer]?.[group];
    const { a, b: bPool } = pools.layers[layer] ?? { a: b.unused, b: b.unused };
    if (!compiled || !w) throw new Error(`layer ${layer} has no ${group}`);
    const bound = (kernels: typeof compiled.base, s: GPUBuffer, expanded: GPUBuffer) =>
      new Map(kernels.map(([key, kernel]) => [key, call(kernel, b.step, w, x, y, residual, s, expanded)]));
    return {
      shape: matmulShape(group, true),
      base: bound(compiled.base, b.unused, b.unused),
      lora: bound(compiled.lora, b.shrunk, bPool),
      shrink: compiled.shrink && call(compiled.shrink, b.step, x, a, b.shrunk),
    };
  };
  const layers: Layer[] = b.kv.map(({ k, v }, layer) => ({
    norm1: call(norm, b.step, b.x0, weights.inputNorms[layer] as GPUBuffer, b.normed),
    qkv: projection(layer, 'qkv', b.normed, b.qkv, b.unused),
    rope: call(rope, b.step, b.qkv, b.angles, b.q, k, v),
    attention: call(attend, b.step, b.q, k, v, b.attended),
    o: projection(layer, 'o', b.attended, b.x1, b.x0),
    norm2: call(norm, b.step, b.x1, weights.postAttentionNorms[layer] as GPUBuffer, b.normed),
    gateUp: projection(layer, 'gateUp', b.normed, b.activated, b.unused),
    down: projection(layer, 'down', b.activated, b.x0, b.x1),
  }));
  const [ids0, ids1] = b.ids;
  return {
    attentionShape,
    embeds: [
      call(embedder, b.step, ids1, weights.embedding, b.x0),
      call(embedder, b.step, ids0, weights.embedding, b.x0),
    ] as const,
    layers,
    finalNorm: call(gatherNorm, b.step, b.x0, weights.finalNorm, b.last),
    head: {
      shape: headShape,
      tiles: new Map(
        headTiles.map(([key, kernel]) => [
          key,
          call(kernel, b.step, weights.head, b.last, b.logits, b.unused, b.unused, b.unused),
        ]),
      ),
    },
    samples: [call(sampler, b.step, b.logits, ids0), call(sampler, b.step, b.logits, ids1)] as const,
  };
}
