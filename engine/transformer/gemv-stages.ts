/**
 * The projections' stages for steps of few rows (kernels/gemv.ts): one product with everything in its epilogue behind one
 * shrink, as the portable stages have it, in kernels that keep a GPU's memory busy when there is little to do; the norms are
 * of that kind too. Attention is another variant's.
 *
 * The head is the same product without adapters: gemvProduct() makes it for any shape, in the tiles of every number of rows.
 */
import { attentionConstants, ropeKv } from '../kernels/attention.ts';
import {
  GEMV_ROWS,
  type GemvTile,
  gemv,
  gemvConstants,
  gemvGrid,
  gemvKey,
  gemvTakes,
  gemvTile,
} from '../kernels/gemv.ts';
import { type Call, type CompiledKernel, call, type KernelCompiler } from '../kernels/kernel.ts';
import type { MatmulShape } from '../kernels/matmul.ts';
import { rmsnormWide, rmsnormWideConstants } from '../kernels/rmsnorm-wide.ts';
import { shrink, shrinkConstants, shrinkGrid } from '../kernels/shrink.ts';
import { shrinkFew, shrinkFewConstants, shrinkFewGrid, shrinkFewTakes } from '../kernels/shrink-few.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import { GROUPS, type Group } from './dimensions.ts';
import { attentionShapeOf, type Projection, productStages } from './product-stages.ts';
import { projectionShape } from './projection-shape.ts';
import type { Run, StageBinder, StageContext } from './stage.ts';

/** Whether these stages take the model: every projection's width in this layout. Which devices and rows, variants.ts says. */
export const gemvTakesModel = ({ shapes, layout }: Pick<StageContext, 'shapes' | 'layout'>): boolean =>
  GROUPS.every((group) => gemvTakes({ k: shapes[group].k, weights: layout }));

/** @throws EngineError naming the kernel, when one does not compile */
export async function gemvStages(context: StageContext): Promise<Record<Group, StageBinder>> {
  const { compiler, geometry: g } = context;
  const shape = attentionShapeOf(g);
  const [qkv, o, gateUp, down, rope, norm] = await Promise.all([
    projection(context, 'qkv'),
    projection(context, 'o'),
    projection(context, 'gateUp'),
    projection(context, 'down'),
    compiler.compile(ropeKv, attentionConstants(shape)),
    compiler.compile(rmsnormWide, rmsnormWideConstants(g.hidden, g.normEps, false)),
  ]);
  return productStages(context, { qkv, o, gateUp, down }, { rope, norm });
}

async function projection(context: StageContext, group: Group): Promise<Projection> {
  const { compiler, lora, buffers: b, options } = context;
  const adapted = projectionShape(context, group);
  const slots = lora.slots > 0;
  const { software } = options.facts;
  const [base, withAdapters, shrinks] = await Promise.all([
    gemvProduct(compiler, { ...adapted, lora: null }, software),
    slots ? gemvProduct(compiler, adapted, software) : null,
    slots ? shrinkOf(compiler, adapted) : null,
  ]);
  return ({ w, a, b: pool }, { x, y, residual }) => {
    if (!w) throw new Error(`a layer has no ${group}`);
    const plain = base({ step: b.step, w, x, y, residual, s: b.unused, b: b.unused });
    const full = withAdapters?.({ step: b.step, w, x, y, residual, s: b.shrunk, b: pool });
    const shrinking = shrinks && call(shrinks.kernel, b.step, x, a, b.shrunk);
    return (run, step) => {
      const some = step.tiles > 0 && shrinks && shrinking && full;
      if (some) run(shrinking, shrinks.grid(step));
      (some ? full : plain)(run, step.rows);
    };
  };
}

async function shrinkOf(compiler: KernelCompiler, { k, lora }: MatmulShape) {
  if (!lora) throw new Error('a projection without adapters has no shrink');
  const few = shrinkFewTakes(k, lora);
  const kernel = few
    ? await compiler.compile(shrinkFew, shrinkFewConstants(k, lora))
    : await compiler.compile(shrink, shrinkConstants(k, lora));
  return { kernel, grid: (step: StepShape) => (few ? shrinkFewGrid(lora, step) : shrinkGrid(lora, step)) };
}

/** In the order of gemv's bindings; what a shape does not use is any other buffer. */
export interface GemvBuffers {
  step: GPUBuffer;
  w: GPUBuffer;
  x: GPUBuffer;
  y: GPUBuffer;
  residual: GPUBuffer;
  s: GPUBuffer;
  b: GPUBuffer;
}

/** Row counts that stand for all tiles gemvTile() can choose. */
const TILE_ROWS = [1, 2, 4, GEMV_ROWS];

/**
 * A product in every tile that gemvTile() can choose for it.
 * @returns what binds it to buffers, and gives what records it for a number of rows; more than GEMV_ROWS are right, and slow
 * @throws EngineError naming the kernel, when one does not compile
 */
export async function gemvProduct(
  compiler: KernelCompiler,
  shape: MatmulShape,
  software: boolean,
): Promise<(buffers: GemvBuffers) => (run: Run, rows: number) => void> {
  const tiles = new Map(TILE_ROWS.map((rows) => gemvTile(shape, rows, software)).map((tile) => [gemvKey(tile), tile]));
  const compile = async ([key, tile]: [string, GemvTile]): Promise<[string, CompiledKernel]> => [
    key,
    await compiler.compile(gemv, gemvConstants(shape, tile)),
  ];
  const compiled = await Promise.all([...tiles].map(compile));
  return ({ step, w, x, y, residual, s, b }) => {
    const calls = new Map<string, Call>(
      compiled.map(([key, kernel]) => [key, call(kernel, step, w, x, y, residual, s, b)]),
    );
    return (run, rows) => {
      const tile = gemvTile(shape, rows, software);
      const bound = calls.get(gemvKey(tile));
      if (!bound) throw new Error(`no pipeline was made for tile ${gemvKey(tile)}`);
      run(bound, gemvGrid(shape, tile, rows), { rows, tile: tile.tm, bytes: w.size });
    };
  };
}
