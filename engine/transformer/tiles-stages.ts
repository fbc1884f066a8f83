/**
 * The projections' stages for steps of many rows (prefill): one product in large tiles on tensor cores, with the adapters' part,
 * residual or SwiGLU in its epilogue (kernels/tiles.ts), behind one shrink on tensor cores too (kernels/shrink-tiles.ts; the
 * portable one where no tile fits); rotation and norms are dispatches of their own, as in the portable stages. Attention is another variant's.
 *
 * The head is the same product without adapters: tilesProduct() makes it for any shape and number of rows.
 */
import { attentionConstants, ropeKv } from '../kernels/attention.ts';
import { call, type KernelCompiler } from '../kernels/kernel.ts';
import type { LoraShape, MatmulShape } from '../kernels/matmul.ts';
import { rmsnorm, rmsnormConstants } from '../kernels/rmsnorm.ts';
import { shrink, shrinkConstants, shrinkGrid } from '../kernels/shrink.ts';
import { shrinkTile, shrinkTiles, shrinkTilesConstants, shrinkTilesGrid } from '../kernels/shrink-tiles.ts';
import { type TensorCores, tensorCoresOf } from '../kernels/tensor-product.ts';
import { TILES_ROWS, tiles, tilesConstants, tilesGrid, tilesTile } from '../kernels/tiles.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import type { Buffers } from './buffers.ts';
import { GROUPS, type Group } from './dimensions.ts';
import { attentionShapeOf, type Projection, productStages } from './product-stages.ts';
import { projectionShape } from './projection-shape.ts';
import type { Run, StageBinder, StageContext } from './stage.ts';

/** Which tile does a product of so many rows: tilesTile(), or a test's own. */
export type ChooseTile = typeof tilesTile;
/** Which does a shrink: shrinkTile(), or a test's own. */
export type ChooseShrink = typeof shrinkTile;

/** Why these stages cannot take the model on the device; null where nothing keeps them from it. */
export function tilesLack(
  context: Pick<StageContext, 'geometry' | 'layout' | 'lora' | 'shapes' | 'options'>,
  choose: ChooseTile = tilesTile,
): string | null {
  const cores = tensorCoresOf(context.options.facts);
  if (!cores) return 'tensor cores for f16 products summed in f32, in subgroups whose width can be asked for';
  for (const group of GROUPS) {
    const shape = projectionShape(context, group);
    const lack = productLack(shape, cores, choose);
    if (lack !== null) return `${lack} (${group})`;
  }
  return null;
}

/** The same of one product, such as the head. */
export function productLack(shape: MatmulShape, cores: TensorCores, choose: ChooseTile = tilesTile): string | null {
  const { k, out, weights } = shape;
  if (TILES_ROWS.some((rows) => choose(rows, shape, cores) === null)) {
    return `a tile for a product ${k} deep in ${weights.format} of ${weights.pack} words together`;
  }
  return out % 4 === 0 ? null : `widths in fours, not ${out}`;
}

/** @throws EngineError naming the kernel, when one does not compile */
export async function tilesStages(
  context: StageContext,
  choose: ChooseTile = tilesTile,
  chooseShrink: ChooseShrink = shrinkTile,
): Promise<Record<Group, StageBinder>> {
  const { compiler, geometry: g } = context;
  const attention = attentionShapeOf(g);
  const [qkv, o, gateUp, down, rope, norm] = await Promise.all([
    projection(context, 'qkv', choose, chooseShrink),
    projection(context, 'o', choose, chooseShrink),
    projection(context, 'gateUp', choose, chooseShrink),
    projection(context, 'down', choose, chooseShrink),
    compiler.compile(ropeKv, attentionConstants(attention)),
    compiler.compile(rmsnorm, rmsnormConstants(g.hidden, g.normEps, false)),
  ]);
  return productStages(context, { qkv, o, gateUp, down }, { rope, norm });
}

async function projection(
  context: StageContext,
  group: Group,
  choose: ChooseTile,
  chooseShrink: ChooseShrink,
): Promise<Projection> {
  const { compiler, lora, buffers: b, options } = context;
  const cores = tensorCoresOf(options.facts);
  if (!cores) throw new Error('tiles stages on a device without tensor cores');
  const shape = projectionShape(context, group);
  const slots = lora.slots > 0;
  const [base, adapted, shrinking] = await Promise.all([
    tilesProduct(compiler, { ...shape, lora: null }, cores, choose),
    slots ? tilesProduct(compiler, shape, cores, choose) : null,
    slots ? shrinkOf(compiler, shape.k, lora.groups[group], cores, chooseShrink) : null,
  ]);
  return ({ w, a, b: pool }, { x, y, residual }) => {
    if (!w) throw new Error(`a layer has no ${group}`);
    const plain = base({ step: b.step, w, x, y, residual, s: b.unused, b: b.unused });
    const full = adapted?.({ step: b.step, w, x, y, residual, s: b.shrunk, b: pool });
    const shrinks = shrinking?.(b, x, a);
    return (run, step) => {
      const some = step.tiles > 0;
      if (some) shrinks?.(run, step);
      (some && full ? full : plain)(run, step.rows);
    };
  };
}

async function shrinkOf(
  compiler: KernelCompiler,
  k: number,
  lora: LoraShape,
  cores: TensorCores,
  choose: ChooseShrink,
): Promise<(b: Buffers, x: GPUBuffer, a: GPUBuffer) => (run: Run, step: StepShape) => void> {
  const tile = choose(k, cores);
  if (!tile) {
    const kernel = await compiler.compile(shrink, shrinkConstants(k, lora));
    return (b, x, a) => {
      const bound = call(kernel, b.step, x, a, b.shrunk);
      return (run, step) => run(bound, shrinkGrid(lora, step));
    };
  }
  const kernel = await compiler.compile(shrinkTiles(tile, cores), shrinkTilesConstants(k, lora));
  return (b, x, a) => {
    const bound = call(kernel, b.step, a, x, b.shrunk);
    return (run, step) => run(bound, shrinkTilesGrid(lora, tile, step));
  };
}

/** In the order of tiles' bindings; what a shape does not use is any other buffer. */
export interface TilesBuffers {
  step: GPUBuffer;
  w: GPUBuffer;
  x: GPUBuffer;
  y: GPUBuffer;
  residual: GPUBuffer;
  s: GPUBuffer;
  b: GPUBuffer;
}

/**
 * A product in every tile that the choice has for it, for any number of rows.
 * @returns what binds it to buffers, and gives what records it for a number of rows
 * @throws EngineError naming the kernel, when one does not compile
 */
export async function tilesProduct(
  compiler: KernelCompiler,
  shape: MatmulShape,
  cores: TensorCores,
  choose: ChooseTile = tilesTile,
): Promise<(buffers: TilesBuffers) => (run: Run, rows: number) => void> {
  const compiled = await Promise.all(
    TILES_ROWS.map(async (most) => {
      const tile = choose(most, shape, cores);
      if (!tile) throw new Error(`no tile for a product ${shape.k} deep`);
      const kernel = await compiler.compile(tiles(tile, shape.weights, cores), tilesConstants(shape));
      return { most, tile, kernel };
    }),
  );
  return ({ step, w, x, y, residual, s, b }) => {
    const bound = compiled.map(({ most, tile, kernel }) => ({
      most,
      tile,
      product: call(kernel, step, w, x, y, residual, s, b),
    }));
    const last = bound.at(-1) as (typeof bound)[number];
    return (run, rows) => {
      const { tile, product } = bound.find(({ most }) => rows <= most) ?? last;
      run(product, tilesGrid(shape, tile, rows), { rows, tile: tile.rows, bytes: w.size });
    };
  };
}
