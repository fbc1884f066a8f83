/**
 * A step's data -> its dispatches: the Llama architecture (Touvron et al. 2023), each layer in the paper's order.
 *
 * Everything a step binds is made here once. encode() only picks and dispatches, so the loop creates no buffer, bind group
 * or pipeline. What a layer is made of, and by which kernels, stage.ts says.
 */
import { embed, embedConstants, embedGrid } from '../kernels/embed.ts';
import { type Call, call, dispatch, type KernelCompiler, type Pass } from '../kernels/kernel.ts';
import { type MatmulShape, padColumns } from '../kernels/matmul.ts';
import { rmsnorm, rmsnormConstants, rmsnormGrid } from '../kernels/rmsnorm.ts';
import { rmsnormWide, rmsnormWideConstants } from '../kernels/rmsnorm-wide.ts';
import { sample, sampleConstants, sampleGrid, sampler } from '../kernels/sample.ts';
import type { LoraPools } from '../lora/pools.ts';
import type { Geometry } from '../models/geometry.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import type { Buffers } from './buffers.ts';
import { chosenStages } from './chosen-stages.ts';
import { groupShapes, type LoraLayout } from './dimensions.ts';
import { headProduct } from './head-product.ts';
import { type Run, STAGES, type Stage, type StageName, type TransformerOptions } from './stage.ts';
import { type Encoded, EncodedSum } from './step-work.ts';
import type { Variant } from './variants.ts';
import type { Weights } from './weights.ts';

type Layer = Record<StageName, Stage>;

type Compiled = Awaited<ReturnType<typeof compileAll>>;

export class Transformer {
  /** Families of kernels that its stages are done by, for whoever compares counts of their work. */
  readonly variants: readonly string[];
  private readonly geometry: Geometry;
  private readonly compiled: Compiled;

  private constructor(geometry: Geometry, compiled: Compiled) {
    this.geometry = geometry;
    this.compiled = compiled;
    this.variants = compiled.variants;
  }

  /** @throws EngineError naming the kernel, when one does not compile */
  static async create(
    compiler: KernelCompiler,
    geometry: Geometry,
    parts: { weights: Weights; buffers: Buffers; pools: LoraPools; lora: LoraLayout },
    options: TransformerOptions,
  ): Promise<Transformer> {
    return new Transformer(geometry, await compileAll(compiler, geometry, parts, options));
  }

  /**
   * Records the step whose data is in buffers.step.
   * @param parity which of the two id buffers this step writes; the other holds the step before it
   */
  encode(pass: Pass, step: StepShape, parity: 0 | 1): Encoded {
    const { geometry: g } = this;
    const { embeds, firstNorm, layers, finalNorm, head, samples } = this.compiled;
    const encoded = new EncodedSum();
    const run: Run = (one, grid, product) => {
      dispatch(pass, one, grid);
      encoded.add(product);
    };
    pass.stage?.('embed');
    run(embeds[parity], embedGrid(g.hidden, step.rows));
    run(firstNorm, rmsnormGrid(step.rows));
    for (const layer of layers) {
      for (const stage of STAGES) {
        pass.stage?.(stage);
        layer[stage].encode(run, step);
      }
    }
    if (step.samples === 0) return encoded;
    pass.stage?.('head');
    run(finalNorm, rmsnormGrid(step.samples));
    head(run, step.samples);
    pass.stage?.('sample');
    run(samples[parity], sampleGrid(step.samples));
    return encoded;
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
    weights: weights.layouts.head,
    lora: null,
  };
  const layout = weights.layouts.projections;
  const context = { compiler, geometry: g, layout, lora, shapes: groupShapes(g), buffers: b, options };
  const { stages, variants: there } = await chosenStages(context);
  const has = (variant: Variant) => there.includes(variant);
  // A norm has few rows and nothing beside it: wide where the other kernels for few rows are.
  const wide = has('gemv') && g.hidden % 4 === 0;
  const [normKernel, normConstants] = wide ? [rmsnormWide, rmsnormWideConstants] : [rmsnorm, rmsnormConstants];
  const sampling = has('sample-wide') ? sampler(options.facts) : { kernel: sample, lanes: undefined };
  const headBuffers = { step: b.step, w: weights.head, x: b.last, y: b.logits, unused: b.unused };
  const headOptions = { ...options, variants: new Set([...options.variants].filter(has)) };
  const [embedder, norm, gatherNorm, sampled, head] = await Promise.all([
    compiler.compile(embed, embedConstants(g.hidden, weights.layouts.embedding)),
    compiler.compile(normKernel, normConstants(g.hidden, g.normEps, false)),
    compiler.compile(normKernel, normConstants(g.hidden, g.normEps, true)),
    compiler.compile(sampling.kernel, sampleConstants(g.vocab, sampling.lanes)),
    headProduct(compiler, headShape, headBuffers, headOptions),
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
    head,
    samples: [call(sampled, b.step, b.logits, ids0), call(sampled, b.step, b.logits, ids1)] as const,
    variants: there,
  };
}
