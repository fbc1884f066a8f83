/**
 * The projections' stages for steps of up to 64 rows: two dispatches each. The first is partial sums of the product on tensor
 * cores and, among the same workgroups, the adapters' shrink (kernels/split-k.ts); the second sums them and does all that is
 * left of the stage (kernels/reduce.ts): expand, DoRA's g, bias, and rotation with the KV write, residual with the norm that
 * follows, or SwiGLU. Attention is another variant's.
 */
import { type Call, type CompiledKernel, call } from '../kernels/kernel.ts';
import type { MatmulShape } from '../kernels/matmul.ts';
import {
  reduceNorm,
  reduceNormConstants,
  reduceNormGrid,
  reduceNormThreads,
  reduceRope,
  reduceRopeConstants,
  reduceRopeGrid,
  reduceSwiglu,
  reduceSwigluConstants,
  reduceSwigluGrid,
} from '../kernels/reduce.ts';
import {
  partialBytes,
  SPLIT_K_ROWS,
  type SplitK,
  splitK,
  splitKConstants,
  splitKGrid,
  splitKTile,
} from '../kernels/split-k.ts';
import { type TensorCores, tensorCoresOf } from '../kernels/tensor-product.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import { GROUPS, type Group } from './dimensions.ts';
import { attentionShapeOf } from './product-stages.ts';
import { projectionShape } from './projection-shape.ts';
import type { LayerBuffers, Run, StageBinder, StageContext } from './stage.ts';

/** Which tile does a product of so many rows: splitKTile(), or a test's own. */
export type ChooseSplitK = typeof splitKTile;

type Shaped = Pick<StageContext, 'geometry' | 'layout' | 'lora' | 'shapes' | 'options'>;

/** Why these stages cannot take the model on the device; null where nothing keeps them from it. */
export function splitKLack(context: Shaped, choose: ChooseSplitK = splitKTile): string | null {
  const cores = tensorCoresOf(context.options.facts);
  if (!cores) return 'tensor cores for f16 products summed in f32, in subgroups whose width can be asked for';
  const { headDim } = context.geometry;
  if (headDim % 8 !== 0) return `heads of a multiple of 8 elements, not ${headDim}`;
  for (const group of GROUPS) {
    const shape = projectionShape(context, group);
    if (SPLIT_K_ROWS.some((rows) => choose(rows, shape, cores) === null)) {
      return `a tile for ${group}, ${shape.k} deep in ${shape.weights.format} of ${shape.weights.pack} words together`;
    }
    if (shape.out % 4 !== 0) return `widths in fours: ${group} is ${shape.out} wide`;
  }
  return null;
}

/** Bytes that the partial sums of the largest step take: one buffer serves all stages. 0 where the stages cannot be. */
export function splitKBytes(context: Shaped, choose: ChooseSplitK = splitKTile): number {
  const cores = tensorCoresOf(context.options.facts);
  if (!cores || splitKLack(context, choose) !== null) return 0;
  const bytes = GROUPS.flatMap((group) => {
    const shape = projectionShape(context, group);
    return SPLIT_K_ROWS.map((rows) => partialBytes(chosen(choose, rows, shape, cores), shape.n));
  });
  return Math.max(...bytes);
}

function chosen(choose: ChooseSplitK, rows: number, shape: MatmulShape, cores: TensorCores): SplitK {
  const how = choose(rows, shape, cores);
  if (!how) throw new Error(`no split-k tile for ${shape.k} x ${shape.n}`);
  return how;
}

/**
 * @param partials at least splitKBytes()
 * @throws EngineError naming the kernel, when one does not compile
 */
export async function splitKStages(
  context: StageContext,
  partials: GPUBuffer,
  choose: ChooseSplitK = splitKTile,
): Promise<Record<Group, StageBinder>> {
  const { compiler, geometry: g, buffers: b, options } = context;
  const attention = attentionShapeOf(g);
  const make = (group: Group, x: GPUBuffer, finish: Finish) =>
    projection(context, { group, x, partials, choose, finish });
  const residual = (from: GPUBuffer, to: GPUBuffer): Finish => ({
    compile: async (shape, how) => {
      const threads = reduceNormThreads(shape.out, options.facts.maxInvocations);
      const [normed, last] = await Promise.all(
        [g.normEps, null].map((eps) => compiler.compile(reduceNorm, reduceNormConstants(shape, how, eps, threads))),
      );
      return ({ norm }) => ({ kernel: norm ? normed : last, rest: [from, norm ?? b.unused, to, b.normed] });
    },
    grid: reduceNormGrid,
  });
  const [qkv, o, gateUp, down] = await Promise.all([
    make('qkv', b.normed, {
      compile: async (shape, how) => {
        const kernel = await compiler.compile(reduceRope, reduceRopeConstants(shape, how, attention));
        return ({ k, v }) => ({ kernel, rest: [b.angles, b.q, k, v] });
      },
      grid: (rows) => reduceRopeGrid(attention, rows),
    }),
    make('o', b.attended, residual(b.x0, b.x1)),
    make('gateUp', b.normed, {
      compile: async (shape, how) => {
        const kernel = await compiler.compile(reduceSwiglu, reduceSwigluConstants(shape, how));
        return () => ({ kernel, rest: [b.activated] });
      },
      grid: (rows) => reduceSwigluGrid(g.intermediate, rows),
    }),
    make('down', b.activated, residual(b.x1, b.x0)),
  ]);
  return { qkv, o, gateUp, down };
}

/** The second dispatch: how it is compiled for partial sums, and what a layer's binds behind step, partials, s and b. */
interface Finish {
  compile(
    shape: MatmulShape,
    partials: { split: number; rows: number },
  ): Promise<(layer: LayerBuffers) => { kernel: CompiledKernel | undefined; rest: GPUBuffer[] }>;
  grid(rows: number): readonly [number, number, number];
}

interface Parts {
  group: Group;
  x: GPUBuffer;
  partials: GPUBuffer;
  choose: ChooseSplitK;
  finish: Finish;
}

async function projection(context: StageContext, { group, x, partials, choose, finish }: Parts): Promise<StageBinder> {
  const { compiler, lora, buffers: b, options } = context;
  const cores = tensorCoresOf(options.facts);
  if (!cores) throw new Error('split-k stages on a device without tensor cores');
  const shape = projectionShape(context, group);
  const compiled = await Promise.all(
    SPLIT_K_ROWS.map(async (most) => {
      const how = chosen(choose, most, shape, cores);
      const sums = { split: how.split, rows: how.tile.rows };
      const [product, base, adapted] = await Promise.all([
        compiler.compile(splitK(how.tile, shape.weights, cores), splitKConstants(shape, how)),
        finish.compile({ ...shape, lora: null }, sums),
        lora.slots > 0 ? finish.compile(shape, sums) : null,
      ]);
      return { most, how, product, base, adapted };
    }),
  );
  return (layer) => {
    const { w, a, b: pool } = layer;
    if (!w) throw new Error(`a layer has no ${group}`);
    const finishing = (of: Awaited<ReturnType<Finish['compile']>>, s: GPUBuffer, expand: GPUBuffer): Call => {
      const { kernel, rest } = of(layer);
      if (!kernel) throw new Error(`nothing finishes ${group}`);
      return call(kernel, b.step, partials, s, expand, ...rest);
    };
    const bound = compiled.map(({ most, how, product, base, adapted }) => ({
      most,
      how,
      product: call(product, b.step, w, x, partials, a, b.shrunk),
      base: finishing(base, b.unused, b.unused),
      adapted: adapted && finishing(adapted, b.shrunk, pool),
    }));
    return {
      encode(run: Run, step: StepShape) {
        const one = bound.find(({ most }) => step.rows <= most);
        if (!one) throw new Error(`split-k takes no step of ${step.rows} rows`);
        const { how, product, base, adapted } = one;
        run(product, splitKGrid(shape, how, step), { rows: step.rows, tile: how.tile.rows, bytes: w.size });
        run(step.tiles > 0 && adapted ? adapted : base, finish.grid(step.rows));
      },
    };
  };
}
