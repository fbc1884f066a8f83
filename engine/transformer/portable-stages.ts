/**
 * The stages in kernels that every device runs: a projection is one product with the adapters' part, the residual or SwiGLU
 * in its epilogue, behind one shrink; rotation, attention and norms are dispatches of their own.
 */
import { attention, attentionConstants, attentionGrid, ropeKv } from '../kernels/attention.ts';
import { type Call, type CompiledKernel, call } from '../kernels/kernel.ts';
import {
  type MatmulShape,
  type MatmulTile,
  matmul,
  matmulConstants,
  matmulGrid,
  matmulTile,
  tileKey,
} from '../kernels/matmul.ts';
import { rmsnorm, rmsnormConstants } from '../kernels/rmsnorm.ts';
import { shrink, shrinkConstants, shrinkGrid } from '../kernels/shrink.ts';
import type { Group } from './dimensions.ts';
import { attentionShapeOf, type Projection, productStages } from './product-stages.ts';
import { projectionShape } from './projection-shape.ts';
import { type StageBinder, type StageContext, type StageName, type TransformerOptions, tileOptions } from './stage.ts';

/** Row counts that stand for all tiles matmulTile() can choose. */
export const TILE_ROWS = [1, 2, 4, 8];

export async function portableStages(context: StageContext): Promise<Record<StageName, StageBinder>> {
  const { compiler, geometry: g, buffers: b } = context;
  const shape = attentionShapeOf(g);
  const [qkv, o, gateUp, down, rope, attend, norm] = await Promise.all([
    projection(context, 'qkv'),
    projection(context, 'o'),
    projection(context, 'gateUp'),
    projection(context, 'down'),
    compiler.compile(ropeKv, attentionConstants(shape)),
    compiler.compile(attention, attentionConstants(shape)),
    compiler.compile(rmsnorm, rmsnormConstants(g.hidden, g.normEps, false)),
  ]);
  return {
    ...productStages(context, { qkv, o, gateUp, down }, { rope, norm }),
    attention: ({ k, v }) => {
      const attended = call(attend, b.step, b.q, k, v, b.attended);
      return { encode: (run, step) => run(attended, attentionGrid(shape, step.rows)) };
    },
  };
}

/** One matrix product of a layer, in every tile, with and without adapters. */
async function projection(context: StageContext, group: Group): Promise<Projection> {
  const { compiler, lora, buffers: b, options } = context;
  const withLora = projectionShape(context, group);
  const slots = lora.slots > 0;
  const [base, adapted, shrinking] = await Promise.all([
    compileTiles(compiler, { ...withLora, lora: null }, options),
    slots || options.batchInvariant ? compileTiles(compiler, withLora, options) : new Map<string, CompiledKernel>(),
    slots ? compiler.compile(shrink, shrinkConstants(withLora.k, lora.groups[group])) : null,
  ]);
  return (layer, { x, y, residual }) => {
    const { w, a, b: pool } = layer;
    if (!w) throw new Error(`a layer has no ${group}`);
    const bound = (kernels: Map<string, CompiledKernel>, s: GPUBuffer, expand: GPUBuffer) =>
      new Map([...kernels].map(([key, kernel]) => [key, call(kernel, b.step, w, x, y, residual, s, expand)]));
    const baseCalls = bound(base, b.unused, b.unused);
    const loraCalls = bound(adapted, b.shrunk, pool);
    const shrinks = shrinking && call(shrinking, b.step, x, a, b.shrunk);
    return (run, step) => {
      const tile = matmulTile(step.rows, tileOptions(options));
      const some = step.tiles > 0;
      if (some && shrinks) run(shrinks, shrinkGrid(lora.groups[group], step));
      // Two pipelines may round differently, so a row must not change from one to the other by what is beside it.
      const calls = some || options.batchInvariant ? loraCalls : baseCalls;
      run(pick(calls, tile), matmulGrid(withLora, tile, step.rows), { rows: step.rows, tile: tile.tm, bytes: w.size });
    };
  };
}

/** A product in every tile that matmulTile() can choose for it, by tileKey(). */
export async function compileTiles(
  compiler: StageContext['compiler'],
  shape: MatmulShape,
  options: TransformerOptions,
): Promise<Map<string, CompiledKernel>> {
  const tiles = new Map(
    TILE_ROWS.map((rows) => matmulTile(rows, tileOptions(options))).map((tile) => [tileKey(tile), tile]),
  );
  const compiled = await Promise.all(
    [...tiles].map(
      async ([key, tile]) =>
        [key, await compiler.compile(matmul(shape.weights), matmulConstants(shape, tile))] as const,
    ),
  );
  return new Map(compiled);
}

export function pick(calls: Map<string, Call>, tile: MatmulTile): Call {
  const found = calls.get(tileKey(tile));
  if (!found) throw new Error(`no pipeline was made for tile ${tileKey(tile)}`);
  return found;
}
