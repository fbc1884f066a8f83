/**
 * A step's data -> its dispatches: the Llama architecture (Touvron et al. 2023), each layer in the paper's order.
 *
 * Everything a step binds is made here once. encode() only picks and dispatches, so the loop creates no buffer, bind group
 * or pipeline. What a layer is made of, and by which kernels, stage.ts says.
 */
import { embed, embedConstants, embedGrid } from '../kernels/embed.ts';
import { type Call, dispatch, type KernelCompiler } from '../kernels/kernel.ts';
import { type MatmulShape, matmulGrid, matmulTile, padColumns } from '../kernels/matmul.ts';
import { rmsnorm, rmsnormConstants, rmsnormGrid } from '../kernels/rmsnorm.ts';
import { sample, sampleConstants, sampleGrid } from '../kernels/sample.ts';
import type { LoraPools } from '../lora/pools.ts';
import type { Geometry } from '../models/geometry.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import type { Buffers } from './buffers.ts';
import { groupShapes, type LoraLayout } from './dimensions.ts';
import { call, compileTiles, pick, portableStages } from './portable-stages.ts';
import { type Run, STAGES, type Stage, type StageName, type TransformerOptions, tileOptions } from './stage.ts';
import type { Weights } from './weights.ts';

type Layer = Record<StageName, Stage>;

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
    const { embeds, firstNorm, layers, finalNorm, head, samples } = this.compiled;
    let dispatches = 0;
    const run: Run = (one, grid) => {
      dispatch(pass, one, grid);
      dispatches++;
    };
    run(embeds[parity], embedGrid(g.hidden, step.rows));
    run(firstNorm, rmsnormGrid(step.rows));
    for (const layer of layers) for (const stage of STAGES) layer[stage].encode(run, step);
    if (step.samples === 0) return dispatches;
    run(finalNorm, rmsnormGrid(step.samples));
    const tile = matmulTile(step.samples, tileOptions(options));
    run(pick(head.tiles, tile), matmulGrid(head.shape, tile, step.samples));
    run(samples[parity], sampleGrid(step.samples));
    return dispatches;
  }
}

async function compileAll(
  compiler: KernelCompiler,
  g: Geometry,
  { weights, buffers: b, pools, lora }: { weights: Weights; buffers: Buffers; pools: LoraPools; lora: LoraLayout },
  options: TransformerOptions,
) {
  const headShape: MatmulShape = {
    k: g.hidden,
    n: padColumns(g.vocab),
    out: g.vocab,
    finish: 'none',
    rows: 'sampled',
    lora: null,
  };
  const context = { compiler, geometry: g, lora, shapes: groupShapes(g), buffers: b, options };
  const [embedder, norm, gatherNorm, sampler, headTiles, stages] = await Promise.all([
    compiler.compile(embed, embedConstants(g.hidden)),
    compiler.compile(rmsnorm, rmsnormConstants(g.hidden, g.normEps, false)),
    compiler.compile(rmsnorm, rmsnormConstants(g.hidden, g.normEps, true)),
    compiler.compile(sample, sampleConstants(g.vocab)),
    compileTiles(compiler, headShape, options),
    portableStages(context),
  ]);

  const layers = b.kv.map(({ k, v }, i): Layer => {
    const w = weights.layers[i];
    const { a, b: pool } = pools.layers[i] ?? { a: b.unused, b: b.unused };
    const shared = { k, v, a, b: pool };
    const afterAttention = weights.postAttentionNorms[i] ?? null;
    return {
      qkv: stages.qkv({ ...shared, w: w?.qkv, norm: null }),
      attention: stages.attention({ ...shared, norm: null }),
      o: stages.o({ ...shared, w: w?.o, norm: afterAttention }),
      gateUp: stages.gateUp({ ...shared, w: w?.gateUp, norm: null }),
      down: stages.down({ ...shared, w: w?.down, norm: weights.inputNorms[i + 1] ?? null }),
    };
  });
  const firstNorm = weights.inputNorms[0];
  if (!firstNorm) throw new Error('a model has no layers');
  const [ids0, ids1] = b.ids;
  return {
    embeds: [
      call(embedder, b.step, ids1, weights.embedding, b.x0),
      call(embedder, b.step, ids0, weights.embedding, b.x0),
    ] as const satisfies readonly Call[],
    firstNorm: call(norm, b.step, b.x0, firstNorm, b.normed),
    layers,
    finalNorm: call(gatherNorm, b.step, b.x0, weights.finalNorm, b.last),
    head: {
      shape: headShape,
      tiles: new Map(
        [...headTiles].map(([key, kernel]) => [
          key,
          call(kernel, b.step, weights.head, b.last, b.logits, b.unused, b.unused, b.unused),
        ]),
      ),
    },
    samples: [call(sampler, b.step, b.logits, ids0), call(sampler, b.step, b.logits, ids1)] as const,
  };
}
