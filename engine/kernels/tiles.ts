/** y = finish(x · Wᵀ + LoRA) for many rows, on tensor cores: see tiles.wgsl. Which tile suits how many rows. */
import { HEADER } from '../scheduler/step-data.ts';
import { expandConstants } from './expand-columns.ts';
import type { Grid, Kernel } from './kernel.ts';
import type { MatmulShape } from './matmul.ts';
import { fits, type TensorCores, type TensorTile, tensorKernel } from './tensor-product.ts';
import type { WeightLayout } from './weight-format.ts';

/** step, w, x -> y; residual, s, b */
export const tiles = (tile: TensorTile, layout: WeightLayout, cores: TensorCores): Kernel =>
  tensorKernel(
    'tiles',
    ['read', 'read', 'read', 'write', 'read', 'read', 'read'],
    ['packed-columns', 'expand-columns'],
    {
      tile,
      layout,
      cores,
    },
  );

/** Row counts that stand for all tiles tilesTile() can choose. */
export const TILES_ROWS = [16, 32, 64, 128];

/**
 * The largest tile that fits the device, of those no taller than the rows need: each x and W is then read the fewest times.
 * Null when none fits.
 */
export function tilesTile(
  rows: number,
  { k, finish, weights: layout }: Pick<MatmulShape, 'k' | 'finish' | 'weights'>,
  cores: TensorCores,
): TensorTile | null {
  const tall = TILES_ROWS.find((most) => rows <= most) ?? 128;
  const { n } = cores.matrix;
  const narrowest = finish === 'swiglu' ? 2 * n : n;
  // Few rows: the weights come once and should come straight; a subgroup does all rows of its columns.
  const few = tall <= 64 && layout.format === 'f16';
  const shapes = few
    ? [
        { rows: tall, columns: 256, subgroupRows: tall, subgroupColumns: 32 },
        { rows: tall, columns: 128, subgroupRows: tall, subgroupColumns: Math.max(16, narrowest) },
      ]
    : [
        {
          rows: tall,
          columns: 128,
          subgroupRows: Math.min(tall, 64),
          subgroupColumns: Math.max(tall > 64 ? 32 : 16, narrowest),
        },
        {
          rows: Math.min(tall, 64),
          columns: 64,
          subgroupRows: Math.min(tall, 32),
          subgroupColumns: Math.max(16, narrowest),
        },
      ];
  for (const shape of shapes) {
    for (const depth of few ? [64, 32, 16] : [32, 16]) {
      for (const buffers of [2, 1] as const) {
        const tile = { ...shape, depth, buffers, direct: few };
        if (fits(tile, k, layout, cores)) return tile;
      }
    }
  }
  return null;
}

export const tilesConstants = (shape: MatmulShape): Record<string, number> => ({
  K: shape.k,
  N: shape.n,
  OUT: shape.out,
  RESIDUAL: shape.finish === 'residual' ? 1 : 0,
  SWIGLU: shape.finish === 'swiglu' ? 1 : 0,
  ROW_COUNT: shape.rows === 'all' ? HEADER.ROW_COUNT : HEADER.SAMPLE_COUNT,
  ...expandConstants(shape.lora),
});

export const tilesGrid = ({ n }: Pick<MatmulShape, 'n'>, tile: TensorTile, rows: number): Grid => [
  Math.ceil(rows / tile.rows),
  Math.ceil(n / tile.columns),
  1,
];
