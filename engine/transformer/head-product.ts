/**
 * The head: logits of the sampled rows, one matrix product over the vocabulary, by the kernels that suit how many rows there are: those
 * for few, tensor cores' tiles for more, else the portable ones.
 */

import { gemvTakes } from '../kernels/gemv.ts';
import { call, type KernelCompiler } from '../kernels/kernel.ts';
import { type MatmulShape, matmulGrid, matmulTile } from '../kernels/matmul.ts';
import { tensorCoresOf } from '../kernels/tensor-product.ts';
import { gemvProduct } from './gemv-stages.ts';
import { compileTiles, pick } from './portable-stages.ts';
import { type Run, type TransformerOptions, tileOptions } from './stage.ts';
import { productLack, tilesProduct } from './tiles-stages.ts';
import { FEW_ROWS } from './variants.ts';

export interface HeadBuffers {
  step: GPUBuffer;
  w: GPUBuffer;
  x: GPUBuffer;
  y: GPUBuffer;
  unused: GPUBuffer;
}

/** @returns what records it for a number of samples @throws EngineError naming the kernel, when one does not compile */
export async function headProduct(
  compiler: KernelCompiler,
  shape: MatmulShape,
  { step, w, x, y, unused }: HeadBuffers,
  options: TransformerOptions,
): Promise<(run: Run, samples: number) => void> {
  const { facts, variants } = options;
  const cores = tensorCoresOf(facts);
  const [portable, few, many] = await Promise.all([
    compileTiles(compiler, shape, options),
    variants.has('gemv') && gemvTakes(shape) ? gemvProduct(compiler, shape, facts.software) : null,
    variants.has('tiles') && cores && productLack(shape, cores) === null ? tilesProduct(compiler, shape, cores) : null,
  ]);
  const bound = { step, w, x, y, residual: unused, s: unused, b: unused };
  const [recordFew, recordMany] = [few?.(bound), many?.(bound)];
  const calls = new Map(
    [...portable].map(([key, kernel]) => [key, call(kernel, step, w, x, y, unused, unused, unused)]),
  );
  return (run, samples) => {
    if (recordFew && samples <= FEW_ROWS) return recordFew(run, samples);
    if (recordMany) return recordMany(run, samples);
    const tile = matmulTile(samples, tileOptions(options));
    run(pick(calls, tile), matmulGrid(shape, tile, samples), { rows: samples, tile: tile.tm, bytes: w.size });
  };
}
